// Stops the page at a point, so that the test can kill it there. Loaded before the package, to
// observe its transactions.
//
// Stopping is a synchronous request that is never answered, so that the page executes nothing more.
{
  const control = new URLSearchParams(location.search).get("control");
  let plan;
  let left = 0;
  /** Whether the consumer has a page that is not committed, and whether that page is of a sweep. */
  let held = false;
  let sweeping = false;

  const tell = (message) => {
    const request = new XMLHttpRequest();
    request.open("POST", control, false);
    request.send(JSON.stringify(message));
  };
  const stop = () => tell({ kind: "stopped" });

  /** Counts how often the page passes a point. True at the time that the plan says. */
  const here = (point) => {
    return plan?.at === point && (sweeping || plan.point !== "sweep") && (left -= 1) === 0;
  };

  const { transaction } = IDBDatabase.prototype;
  IDBDatabase.prototype.transaction = function (...values) {
    const made = transaction.apply(this, values);
    // Registered before the listeners of the package, so that it does not know of the commit yet.
    if (made.mode === "readwrite") made.addEventListener("complete", () => ofPage.has(made) && committed());
    return made;
  };

  const committed = () => {
    held = false;
    if (here("announcement")) stop();
  };

  // Each transaction compares the stored record and puts the next one. It commits a page, or saves
  // only the record before a page is delivered.
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
    // The package issues all requests synchronously.
    if (plan.how === "issued") queueMicrotask(stop);
    request.addEventListener("success", () => {
      if (plan.how === "written" || plan.how === "noted") stop();
      if (plan.how !== "committing") return;
      // The test kills the process at about the time at which the browser commits.
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
    /** Called by the consumer with a page that it has not acknowledged. */
    consuming(page) {
      held = true;
      sweeping = page.changes.some(({ reason }) => reason === "ghost");
      if (!here("consumer")) return undefined;
      if (plan.how === "busy") stop();
      return new Promise(() => tell({ kind: "waiting" }));
    },
  };
}
