// A Worker that runs one round with deltalink.
import { openDelta } from "deltalink";
import { summarize } from "../checksum.js";

export default {
  async fetch(_request, { ROOT, TOKEN }) {
    const client = await openDelta({ endpoint: ROOT, token: () => TOKEN, store: "memory" });
    const events = client.events({ start: "2026-11-01", end: "2026-12-01" });
    await events.sync();
    const summary = summarize(await events.all());
    await client.close();
    return Response.json(summary);
  },
};
