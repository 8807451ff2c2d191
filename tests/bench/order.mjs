// The order of the contestants: it differs between the runs of a benchmark, and is the same each
// time the benchmark is started.

/** Shuffles a list by a seed, so that no contestant always follows the same one. */
export function shuffled(list, seed) {
  const order = [...list];
  let state = (seed + 1) * 0x9e3779b9;
  for (let last = order.length - 1; last > 0; last--) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5;
    const other = (state >>> 8) % (last + 1);
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}
