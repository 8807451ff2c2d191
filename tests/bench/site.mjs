// Serves the web page and the bundles of contestants.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };
const FILES = { "/": "site/index.html", "/page.js": "site/page.js", "/checksum.js": "checksum.js" };

/** Starts the server. `bundles` has a folder for each contestant. Browsers may cache everything. */
export async function startSite(bundles) {
  const server = createServer(async (request, response) => {
    const [path] = request.url.split("?");
    const file = FILES[path] ? join(here, FILES[path]) : join(bundles, path.replaceAll("..", ""));
    try {
      const body = await readFile(file);
      response.writeHead(200, {
        "Content-Type": `${TYPES[extname(file)] ?? "text/plain"}`,
        "Cache-Control": "max-age=3600",
      });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.keepAliveTimeout = 60_000;
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
