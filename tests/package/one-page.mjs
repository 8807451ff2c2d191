// Runs one page of a round, then exits: node one-page.mjs <endpoint> <token> <file>
import { openDelta } from "deltalink";
import { fileStore } from "./documented.mjs";

const [endpoint, token, file] = process.argv.slice(2);
const client = await openDelta({ endpoint, token: () => token, account: "worker", store: fileStore(file) });
const contacts = client.orgContacts();
const round = contacts.round({ maxPages: 1 });
for await (const page of round)
  console.log(JSON.stringify({ index: page.index, ids: page.changes.map(({ id }) => id) }));
console.log(JSON.stringify({ outcome: round.report.outcome, count: await contacts.count() }));
