// One round of a query at a time, in this tab and the others. Where there are no Web Locks (Node, Workers, insecure pages) this
// page alone is guarded; commits compare the stored revision in any case.
const tails = new Map();

/** Resolves to the function that lets go. Rejects when the signal fires first. */
export async function acquire(name, signal) {
  const locks = globalThis.navigator?.locks;
  if (locks) {
    return new Promise((resolve, reject) => {
      locks.request(name, { signal }, () => new Promise((release) => resolve(release))).catch(reject);
    });
  }
  const before = tails.get(name);
  let release;
  const mine = new Promise((resolve) => (release = resolve));
  const tail = Promise.all([before, mine]).then(() => {
    if (tails.get(name) === tail) tails.delete(name);
  });
  tails.set(name, tail);
  if (before) {
    try {
      await new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        before.then(resolve);
      });
    } catch (reason) {
      release();
      throw reason;
    }
  }
  return release;
}
