// The server of the benchmarks: delta queries with serialized pages, Graph's CORS headers, latency
// and bandwidth. It is much faster than any contestant.
import { createServer } from "node:http";
import { delayed } from "../wait.mjs";
import { World } from "./world.mjs";

export const TOKEN = "eyJ0eXAiOiJKV1QiLCJub25jZSI6IjEi.a-bench-token";
const CHUNK = 32 * 1024;
const EXPOSED =
  "ETag, Location, Preference-Applied, request-id, client-request-id, Retry-After, WWW-Authenticate";

/** Waits until a time of `performance.now()`. */
function waitUntil(time) {
  const remaining = time - performance.now();
  return remaining > 0 ? delayed(remaining) : undefined;
}

/** Starts the server on another port than the web page, so that it has another origin. */
export async function startGraph() {
  const worlds = new Map();
  let count = 0;
  const server = createServer((request, response) => {
    serve(worlds, request, response).catch((error) => response.destroy(error));
  });
  server.keepAliveTimeout = 60_000;
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    origin,
    /** Adds a world, which has its own root URL. */
    world(options) {
      const name = `w${(count += 1)}`;
      const world = new World(`${origin}/${name}/v1.0`, options);
      worlds.set(name, world);
      return world;
    },
    remove: (world) => worlds.delete(world.root.split("/").at(-2)),
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function serve(worlds, request, response) {
  const receivedAt = performance.now();
  const [, name, query] = /^\/(w\d+)\/v1\.0\/[^?]*(\?.*)?$/.exec(request.url) ?? [];
  const world = worlds.get(name);
  response.setHeader("Access-Control-Allow-Origin", "*");
  if (!world) return void response.writeHead(404).end();
  const respondAt = receivedAt + world.latency;
  if (request.method === "OPTIONS") {
    world.preflights += 1;
    await waitUntil(respondAt);
    response.writeHead(204, {
      "Access-Control-Allow-Headers": request.headers["access-control-request-headers"] ?? "",
      "Access-Control-Allow-Methods": "GET",
      "Access-Control-Max-Age": "600",
    });
    return void response.end();
  }
  if (request.headers.authorization !== `Bearer ${TOKEN}`) return void response.writeHead(401).end();
  const body = world.respond(query ?? "");
  if (!body) return void response.writeHead(410).end();
  await waitUntil(respondAt);
  response.writeHead(200, {
    "Content-Type": "application/json;odata.metadata=minimal;odata.streaming=true;charset=utf-8",
    "Content-Length": body.reduce((total, part) => total + part.length, 0),
    "Access-Control-Expose-Headers": EXPOSED,
    "Cache-Control": "no-cache",
  });
  if (world.rate === Infinity) {
    for (const part of body) response.write(part);
    return void response.end();
  }
  await send(world, Buffer.concat(body), response);
}

/** Sends a body at the bandwidth of its world, which all responses share. */
async function send(world, body, response) {
  for (let start = 0; start < body.length; start += CHUNK) {
    const chunk = body.subarray(start, start + CHUNK);
    const startsAt = Math.max(performance.now(), world.freeAt ?? 0);
    world.freeAt = startsAt + (chunk.length / world.rate) * 1000;
    await waitUntil(world.freeAt);
    if (response.destroyed) return;
    response.write(chunk);
  }
  response.end();
}
