import { round } from "./round.js";

export default {
  async fetch(request) {
    const { endpoint, token } = Object.fromEntries(new URL(request.url).searchParams);
    return Response.json(await round({ endpoint, token, store: "memory" }));
  },
};
