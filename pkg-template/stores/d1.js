// @ts-check
import { SqlStore } from "./sql.js";

export class D1Store extends SqlStore {
  constructor(database) {
    super(async (statements) => {
      // D1 runs a batch as one transaction.
      const results = await database.batch(
        statements.map(([text, ...values]) => database.prepare(text).bind(...values)),
      );
      return results.map(({ results }) => results);
    });
  }
}
