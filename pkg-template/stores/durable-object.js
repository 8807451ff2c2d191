// @ts-check
import { SqlStore } from "./sql.js";

export class DurableObjectStore extends SqlStore {
  constructor(storage) {
    super((statements) =>
      storage.transactionSync(() =>
        statements.map(([text, ...values]) => storage.sql.exec(text, ...values).toArray()),
      ),
    );
  }
}
