// Opens clients and keeps them open. All requests share one isolate.
import { openDelta } from "deltalink";

const ROOT = "https://graph.microsoft.com/v1.0";
const clients = [];
const body = { value: [{ id: "user 1" }], "@odata.deltaLink": `${ROOT}/users/delta?$deltatoken=1` };

export default {
  async fetch(request) {
    const count = Number(new URL(request.url).searchParams.get("count"));
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
