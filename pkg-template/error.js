export class DeltaError extends Error {
  constructor(message, { cause, ...fields }) {
    super(message, cause === undefined ? undefined : { cause });
    this.retryable = false;
    Object.assign(this, fields);
  }
}
Object.defineProperty(DeltaError.prototype, "name", { value: "DeltaError", configurable: true, writable: true });
