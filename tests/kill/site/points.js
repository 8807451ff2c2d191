// Stops the tab at a point of a round, where the test kills it. Loaded before the package, to
// observe the package's transactions.
//
// A tab stops by a synchronous request that gets no response, so that no more code runs.
{
  const control = new URLSearchParams(location.search).get("control");
  let plan;
  let passesLeft = 0;
  /** Whether the consumer has an uncommitted page, and whether a sweep delivered that page. */
  let hasPage = false;
  let isSweep = false;

  const send = (message) => {
    const request = new XMLHttpRequest();
    request.open("POST", control, false);
    request.send(JSON.stringify(message));
  };
  const stop = () => send({ kind: "stopped" });

  /** Counts how often the tab passes the planned place. True at the planned pass. */
  const isReached = (place) => {
    return plan?.place === place && (isSweep || plan.point !== "sweep") && (passesLeft -= 1) === 0;
  };

  const { transaction } = IDBDatabase.prototype;
  IDBDatabase.prototype.transaction = function (...values) {
    const opened = transaction.apply(this, values);
    // Runs before the listeners of the package, so the package does not know of the commit yet.
    if (opened.mode === "readwrite")
      opened.addEventListener("complete", () => pageTransactions.has(opened) && onCommit());
    return opened;
  };

  const onCommit = () => {
    hasPage = false;
    if (isReached("announcement")) stop();
  };

  // Each transaction compares the stored record and puts the next one. It commits a page, or
  // saves only the record, before a page is delivered.
  const pageTransactions = new WeakSet();
  const { get, put } = IDBObjectStore.prototype;
  let planned;
  IDBObjectStore.prototype.get = function (...values) {
    const request = get.apply(this, values);
    const { transaction } = this;
    if (transaction.mode === "readwrite")
      request.addEventListener("success", () => transaction === planned && plan.how === "compared" && stop());
    return request;
  };
  IDBObjectStore.prototype.put = function (...values) {
    const request = put.apply(this, values);
    const { transaction } = this;
    if (this.name !== "state") return request;
    if (hasPage) pageTransactions.add(transaction);
    if (!isReached(hasPage ? "transaction" : "record")) return request;
    planned = transaction;
    // The package issues all requests synchronously.
    if (plan.how === "issued") queueMicrotask(stop);
    request.addEventListener("success", () => {
      if (plan.how === "written" || plan.how === "saved") stop();
      if (plan.how !== "committing") return;
      // The test kills the process at about the time at which the browser commits.
      send({ kind: "committing" });
      transaction.commit();
      stop();
    });
    return request;
  };

  window.points = {
    send,
    arm(next) {
      plan = next;
      passesLeft = next?.times ?? 0;
    },
    /** Called by the consumer with a page that it has not acknowledged. */
    consuming(page) {
      hasPage = true;
      isSweep = page.changes.some(({ reason }) => reason === "ghost");
      if (!isReached("consumer")) return undefined;
      if (plan.how === "busy") stop();
      return new Promise(() => send({ kind: "waiting" }));
    },
  };
}
