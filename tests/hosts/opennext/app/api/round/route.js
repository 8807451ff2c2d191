import { round } from "../../../src/server.js";

export async function GET(request) {
  const { endpoint, token } = Object.fromEntries(new URL(request.url).searchParams);
  return Response.json(await round({ endpoint, token, store: "memory" }));
}
