// @ts-check
/** See errors.d.ts. */
export class DeltaError extends Error {
  /**
   * @param {string} message
   * @param {import("./errors.js").DeltaErrorFields} given
   */
  constructor(message, given) {
    const { cause, ...fields } = given ?? /** @type {any} */ ({});
    if (!fields.code) throw badRequest("the second argument of new DeltaError() must be { code, … }");
    super(message, cause === undefined ? undefined : { cause });
    /** @type {boolean} */
    this.retryable = false;
    Object.assign(this, fields);
  }

  toJSON() {
    return { name: this.name, message: this.message, ...this };
  }
}
DeltaError.prototype.name = "DeltaError";

export const badRequest = (message) => new DeltaError(message, { code: "bad-request" });

/** Returns the type of a value for a message: never the value, which may be a secret. */
export function typeOf(value) {
  if (value === "") return "an empty string";
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  if (value instanceof Promise) return "a Promise";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** Checks the query or feed of a hook or an adapter that shows its status. */
export function checkStatus(query, owner) {
  if (typeof query?.status?.subscribe !== "function")
    throw badRequest(`${owner} needs a query, such as client.orgContacts(), got ${typeOf(query)}`);
}

/** Checks the query of a hook or an adapter that shows its items. */
export function checkQuery(query, owner) {
  checkStatus(query, owner);
  if (!query.view) throw badRequest(`${owner} needs a mirror, and a feed (mirror: false) has none`);
}

export const closed = () =>
  new DeltaError(
    "this client is closed (by close() or forget(), or because its database was deleted or upgraded); open another one with openDelta()",
    { code: "closed" },
  );

/** The promises whose errors were reported. */
const reported = new WeakSet();

/** Reports the error of a promise once, although StrictMode of React handles it twice. */
export function reportRejection(promise, error) {
  if (!reported.has(promise)) report(error);
  reported.add(promise);
}

/** Reports an error of a listener. It must end neither a round nor the process. */
export const report = (error) => (globalThis.reportError ?? console.error)(error);
