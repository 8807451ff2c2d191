import process from "node:process";
import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { round } from "./round.js";

test("a round on IndexedDB", async () => {
  const { ENDPOINT: endpoint, TOKEN: token } = process.env;
  const result = await round({ endpoint, token });
  const databases = await indexedDB.databases();
  expect(databases).toHaveLength(1);
  writeFileSync("result.json", JSON.stringify(result));
});
