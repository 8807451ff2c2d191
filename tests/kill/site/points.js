// Where a page is stopped to be killed. Loaded before the package, whose transactions it watches
// from outside.
//
// A page that is stopped waits in a synchronous request that is never answered: not one instruction
// of it runs on.
{
  const control = new URLSearchParams(location.search).get("control");
  let plan;
  let left = 0;
  /**
   * Whether the consumer has a page that is not committed, and whether that one is of the sweep.
   */
  let held = false;
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
    if (made.mode === "readwrite") made.addEventListener("complete", () => ofPage.has(made) && committed());
    return made;
  };

  const committed = () => {
    held = false;
    if (here("announcement")) stop();
  };

  // Each commit compares the state record and puts the next one: that of a page, and the note that
  // a page is about to be delivered.
  const ofPage = new WeakSet();
  const { get, put } = IDBObjectStore.prototype;
  let chosen;
  IDBObjectStore.prototype.get = function (...values) {
    const request = get.apply(this, values);
    const { transaction } = this;
    if (transaction.mode === "readwrite")
      request.addEventListener("success", () => transaction === chosen && plan.how === "compared" && stop());
    return request;
  };
  IDBObjectStore.prototype.put = function (...values) {
    const request = put.apply(this, values);
    const { transaction } = this;
    if (this.name !== "state") return request;
    if (held) ofPage.add(transaction);
    if (!here(held ? "transaction" : "note")) return request;
    chosen = transaction;
    // All requests are issued in one go.
    if (plan.how === "issued") queueMicrotask(stop);
    request.addEventListener("success", () => {
      if (plan.how === "written" || plan.how === "noted") stop();
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
      held = true;
      sweeping = page.changes.some(({ reason }) => reason === "ghost");
      if (!here("consumer")) return undefined;
      if (plan.how === "busy") stop();
      return new Promise(() => tell({ kind: "waiting" }));
    },
  };
}
