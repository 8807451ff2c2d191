// @ts-check
import { checkBinding, SqlStore } from "./sql.js";

export class D1Store extends SqlStore {
  constructor(database) {
    checkBinding(database, ["batch", "prepare"], "new D1Store() takes a D1 binding, such as env.DB");
    super(async (statements) => {
      // D1 runs a batch as one transaction.
      const results = await database.batch(
        statements.map(([text, ...values]) => database.prepare(text).bind(...values)),
      );
      return results.map(({ results }) => results);
    });
  }
}
