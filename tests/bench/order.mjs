// The order of the contestants. Differs between runs, but is the same in each execution.

/** Shuffles a list by a seed, so that no contestant always follows the same one. */
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
