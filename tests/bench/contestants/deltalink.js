// deltalink; `way` says whether its rounds run with `sync()` or `round()`.
import { openDelta } from "deltalink";

export async function open({ name, root, kind, start, end, select, pageSize, token, way }) {
  const expiresOn = new Date(Date.now() + 3_600_000);
  const client = await openDelta({
    endpoint: root,
    account: name,
    token: async () => ({ accessToken: token, expiresOn }),
  });
  const query =
    kind === "users" ? client.track("/users/delta", { select }) : client.events({ start, end, pageSize });
  return {
    async round() {
      if (way === "sync") return void (await query.sync());
      for await (const page of query.round()) void page.changes.length;
    },
    all: () => query.all(),
    reset: () => query.reset(),
  };
}
