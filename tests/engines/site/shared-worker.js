// A shared worker with a live query, which a tab controls by messages.
import { openDelta } from "./deltalink/browser.js";

let contacts;
let live;

const calls = {
  /** Opens a client of a world, and resolves when no round runs and the next one is known. */
  async start(world) {
    const { root, tokens } = world;
    const client = await openDelta({ endpoint: root, account: "alex", token: () => tokens.delegated });
    contacts = client.orgContacts();
    live = contacts.live();
    return new Promise((resolve) => {
      const stop = contacts.status.subscribe(({ phase, nextRoundAt }) => {
        if (phase !== "idle" || !nextRoundAt) return;
        resolve("resting");
        queueMicrotask(() => stop());
      });
    });
  },
  async syncNow() {
    const report = await live.syncNow();
    return report?.outcome;
  },
};

globalThis.onconnect = ({ ports: [port] }) => {
  port.onmessage = async ({ data: [name, ...values] }) => {
    try {
      port.postMessage(await calls[name](...values));
    } catch (error) {
      port.postMessage(String(error));
    }
  };
};
