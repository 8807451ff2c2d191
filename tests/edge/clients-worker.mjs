// Opens clients and keeps them open, or starts a live query. All requests share one isolate.
import { openDelta } from "deltalink";

const ROOT = "https://graph.microsoft.com/v1.0";
const clients = [];
const body = { value: [{ id: "user 1" }], "@odata.deltaLink": `${ROOT}/users/delta?$deltatoken=1` };

async function startLive() {
  const client = await openDelta({ token: () => "a-token", store: "memory" });
  try {
    client.track("/users/delta").live();
  } catch ({ code, message }) {
    return Response.json({ code, message });
  }
  return Response.json({});
}

export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/live") return startLive();
    const count = Number(searchParams.get("count"));
    for (let made = 0; made < count; made++) {
      const client = await openDelta({
        token: () => "a-token",
        store: "memory",
        fetch: async () => Response.json(body),
      });
      await client.track("/users/delta").sync();
      clients.push(client);
    }
    return Response.json(clients.length);
  },
};
