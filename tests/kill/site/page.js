import { openDelta } from "deltalink";

const { points } = window;

window.openDelta = openDelta;

window.openClient = async ({ root, token }) => {
  const client = await openDelta({
    endpoint: root,
    account: "alex",
    token: () => token,
    retry: { base: 5, cap: 20 },
  });
  return { client, query: client.orgContacts({ refresh: false }) };
};

/** Opens the store, so that the browser reports a corrupted database. */
window.openQuery = async (world) => {
  window.query = (await window.openClient(world)).query;
};

/** Runs rounds until the plan stops the tab. Without a plan, runs two rounds. */
window.runRounds = async (plan) => {
  const { query } = window;
  points.send({ kind: "start", items: await query.all() });
  points.arm(plan);
  for (let rounds = 0; plan || rounds < 2; rounds += 1) {
    const round = query.round();
    for await (const page of round) {
      const { changes, index, last } = page;
      points.send({ kind: "page", changes, index, last, resumed: round.report.resumed });
      await points.consuming(page);
    }
    points.send({ kind: "round", report: round.report });
  }
  points.send({ kind: "end", items: await query.all() });
};

/** Runs one round, which waits for the lock of another tab. */
window.runFollower = async (world) => {
  const { client, query } = await window.openClient(world);
  query.status.subscribe(({ phase }) => phase === "following" && points.send({ kind: "following" }));
  const report = await query.sync();
  const items = await query.all();
  await client.close();
  return { report, items };
};
