// The order of the contestants, which differs from run to run and is the same each time the bench
// runs.

/**
 * A list in an order that follows from the seed, so that nobody always comes after the same one.
 */
export function shuffled(list, seed) {
  const order = [...list];
  let state = (seed + 1) * 0x9e3779b9;
  for (let left = order.length - 1; left > 0; left--) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5;
    const other = (state >>> 8) % (left + 1);
    [order[left], order[other]] = [order[other], order[left]];
  }
  return order;
}
