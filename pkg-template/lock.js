// One round of a query at a time. Web Locks guard the tabs of a browser; where there are none (Node, Workers, insecure pages, a
// store in memory) each client guards itself, and nothing waits across clients: in a Worker a request that was cut off would
// else hold up all later ones. Commits compare the stored revision in any case.
import { Room, until } from "./drive.js";

/**
 * The turns of one client. `acquire` resolves to the function that lets go; it rejects when the signal fires first. `lost` is called
 * when the turn is taken away.
 */
export class Turns {
  #lanes = {};
  #shared;

  constructor(shared) {
    this.#shared = shared;
  }

  async acquire(name, signal, lost) {
    const locks = this.#shared && globalThis.navigator?.locks;
    if (locks) {
      try {
        return await locked(locks, name, signal, lost);
      } catch (error) {
        // A page that may not use locks, such as a sandboxed frame, is as one without them.
        if (signal.aborted) throw error;
      }
    }
    const room = new Room(this.#lanes, name, 1);
    try {
      await until((resolve) => room.entered.then(resolve), signal);
    } catch (reason) {
      room.leave();
      throw reason;
    }
    return () => room.leave();
  }
}

function locked(locks, name, signal, lost) {
  return new Promise((resolve, reject) => {
    let stolen = reject;
    const turn = () => {
      stolen = lost;
      return new Promise(resolve);
    };
    locks.request(name, { signal }, turn).catch((error) => stolen(error));
  });
}
