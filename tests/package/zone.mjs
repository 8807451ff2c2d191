// Runs a round in a process with zone.js, and prints the result.
const native = Promise;
await import("zone.js/node");
const { clientOf, page } = await import("./responses.mjs");

const client = await clientOf((url, count) =>
  page(
    [{ id: `user ${count}` }],
    count < 3 ? { next: `/users/delta?$skiptoken=${count}` } : { delta: "/users/delta?$deltatoken=1" },
  ),
);
const users = client.track("/users/delta");
const { outcome, requests } = await users.sync();
console.log(JSON.stringify({ replaced: Promise !== native, outcome, requests, count: await users.count() }));
await client.close();
