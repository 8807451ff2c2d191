// Runs the steps of checks.js in a tab that the driver of a browser has opened.
import { checks } from "./checks.js";

window.page = {
  /** Runs a step of a check. */
  async step(name, index, world) {
    await checks[name][index].run({ world });
  },

  /** Deletes everything that the check has stored. */
  async clean() {
    for (const { name } of await indexedDB.databases()) {
      await new Promise((resolve, reject) => {
        const deleting = indexedDB.deleteDatabase(name);
        deleting.onsuccess = resolve;
        deleting.onerror = () => reject(deleting.error);
      });
    }
  },
};
