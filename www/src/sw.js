// Stores the HTML, scripts, styles and wasm of one build, so that an offline reload shows the
// mirror. Handles only requests for these files. Never stores responses of Graph.
const VERSION = "__VERSION__";
const FILES = "__FILES__";
const CACHE = `deltalink-shell-${VERSION}`;
const root = new URL("./", self.location.href);
const shell = new Set(FILES.map((file) => new URL(file, root).pathname));

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll([...shell].map((path) => new Request(path, { cache: "reload" })))),
  );
});

self.addEventListener("activate", (event) => {
  const deleteOldCaches = async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith("deltalink-shell-") && name !== CACHE) await caches.delete(name);
    }
    await self.clients.claim();
  };
  event.waitUntil(deleteOldCaches());
});

// The dashboard sends this message after the user has agreed to a reload.
self.addEventListener("message", (event) => {
  if (event.data === "activate") self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== root.origin) return;
  const path = url.pathname === root.pathname ? new URL("index.html", root).pathname : url.pathname;
  if (!shell.has(path)) return;
  const respond = async () => (await (await caches.open(CACHE)).match(path)) ?? fetch(request);
  event.respondWith(respond());
});
