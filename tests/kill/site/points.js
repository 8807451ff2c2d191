// Where a page is stopped to be killed. Loaded before the package, whose transactions it watches from outside.
//
// A page that is stopped waits in a synchronous request that is never answered: not one instruction of it runs on.
{
  const control = new URLSearchParams(location.search).get("control");
  let plan;
  let left = 0;
  /** Whether the page that the consumer has is one of the sweep. */
  let sweeping = false;

  const tell = (message) => {
    const request = new XMLHttpRequest();
    request.open("POST", control, false);
    request.send(JSON.stringify(message));
  };
  const stop = () => tell({ kind: "stopped" });

  /** Counts the times that a point is passed; true where the plan says so. */
  const here = (point) => {
    return plan?.at === point && (sweeping || plan.point !== "sweep") && (left -= 1) === 0;
  };

  const { transaction } = IDBDatabase.prototype;
  IDBDatabase.prototype.transaction = function (...values) {
    const made = transaction.apply(this, values);
    // First among its listeners, so that the package has not yet heard of the commit.
    if (made.mode === "readwrite") made.addEventListener("complete", () => watched.has(made) && here("announcement") && stop());
    return made;
  };

  // Each commit of a page compares its state record and puts the next one.
  const watched = new WeakSet();
  const { get, put } = IDBObjectStore.prototype;
  let chosen;
  IDBObjectStore.prototype.get = function (...values) {
    const request = get.apply(this, values);
    const { transaction } = this;
    if (transaction.mode === "readwrite") request.addEventListener("success", () => transaction === chosen && plan.how === "compared" && stop());
    return request;
  };
  IDBObjectStore.prototype.put = function (...values) {
    const request = put.apply(this, values);
    const { transaction } = this;
    if (this.name !== "state") return request;
    watched.add(transaction);
    if (!here("transaction")) return request;
    chosen = transaction;
    // All requests are issued in one go.
    if (plan.how === "issued") queueMicrotask(stop);
    request.addEventListener("success", () => {
      if (plan.how === "written") stop();
      if (plan.how !== "committing") return;
      // The process dies while the browser commits, a little before or after.
      tell({ kind: "soon" });
      transaction.commit();
      stop();
    });
    return request;
  };

  window.points = {
    tell,
    arm(next) {
      plan = next;
      left = next?.times ?? 0;
    },
    /** In the consumer's code, which has this page and has not acknowledged it. */
    consuming(page) {
      sweeping = page.changes.some(({ reason }) => reason === "ghost");
      if (!here("consumer")) return undefined;
      if (plan.how === "busy") stop();
      return new Promise(() => tell({ kind: "waiting" }));
    },
  };
}
