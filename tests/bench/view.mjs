// Measures views in Node: the time of an update after a commit of five rows, from the first call of
// `where` to the call of the subscriber, and the memory of a view. Prints a line for each size.
import { openDelta } from "deltalink";
import { median } from "./stats.mjs";

const UPDATES = 9;

/** A `fetch` that lists users in pages of 1,000. Each incremental round changes five of them. */
function fetchUsers(count) {
  const root = "https://graph.microsoft.com/v1.0/users/delta";
  const user = (number, name) => ({
    id: String(number).padStart(8, "0"),
    displayName: name,
    mail: `${number}@contoso.com`,
  });
  let changes = 0;
  return async (input) => {
    const skipped = /skiptoken=(\d+)/.exec(String(input.url ?? input))?.[1];
    const isDelta = String(input.url ?? input).includes("deltatoken");
    const start = Number(skipped ?? 0);
    const length = isDelta ? 5 : Math.min(1000, count - start);
    const next = isDelta ? count : start + length;
    const itemNumber = (index) => (isDelta ? Math.floor(((index + 0.5) * count) / 5) : start + index);
    changes += Number(isDelta);
    const value = Array.from({ length }, (_, index) =>
      user(
        itemNumber(index),
        isDelta ? `${changes % 2 ? "A" : "Z"}${index}` : `User ${(itemNumber(index) * 7919) % count}`,
      ),
    );
    const link =
      next < count
        ? { "@odata.nextLink": `${root}?$skiptoken=${next}` }
        : { "@odata.deltaLink": `${root}?$deltatoken=${changes}` };
    return new Response(JSON.stringify({ value, ...link }), {
      headers: { "Content-Type": "application/json" },
    });
  };
}

async function measure(count) {
  const client = await openDelta({ fetch: fetchUsers(count), token: () => "a-bench-token", store: "memory" });
  const users = client.track("/users/delta");
  await users.sync();
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  let startedAt;
  let resolveUpdate;
  const view = users.view({
    where: () => ((startedAt ??= performance.now()), true),
    orderBy: "displayName",
  });
  await new Promise((resolve) => {
    resolveUpdate = resolve;
    view.subscribe((state) => state.ready && resolveUpdate(performance.now()));
  });
  globalThis.gc?.();
  const memory = process.memoryUsage().heapUsed - before;
  const times = [];
  for (let update = 0; update < UPDATES; update += 1) {
    startedAt = undefined;
    const updatedAt = new Promise((resolve) => (resolveUpdate = resolve));
    await users.sync();
    times.push((await updatedAt) - startedAt);
  }
  console.log(
    `view: 5 changed rows of ${count.toLocaleString("en")}: ${median(times).toFixed(2)} ms (${Math.max(...times).toFixed(2)} at most); memory of the view ${(memory / 2 ** 20).toFixed(1)} MB`,
  );
  await client.close();
}

for (const count of [10_000, 100_000]) await measure(count);
