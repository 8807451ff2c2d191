// @ts-check
import { checkBinding, SqlStore } from "./sql.js";

export class DurableObjectStore extends SqlStore {
  constructor(storage) {
    const advice = "new DurableObjectStore() takes ctx.storage of a Durable Object";
    checkBinding(storage, ["transactionSync"], advice);
    super((statements) =>
      storage.transactionSync(() =>
        statements.map(([text, ...values]) => storage.sql.exec(text, ...values).toArray()),
      ),
    );
  }
}
