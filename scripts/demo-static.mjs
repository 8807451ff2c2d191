// Builds the dashboard with the fake Graph in the web page into dist/demo-static/. The folder needs
// no server but one for files, and works under any path: node scripts/demo-static.mjs
import { fileURLToPath } from "node:url";
import { build } from "vite";

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
await build({ configFile: at("www/vite.config.ts"), mode: "static", logLevel: "warn" });
console.log(`
  The demo without a server:  dist/demo-static/

  Any web server can publish this folder as it is, under any path, over https. To look at it here:
    python3 -m http.server --directory dist/demo-static
  and open http://localhost:8000/
`);
