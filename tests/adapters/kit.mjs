// Bundles the scripts of web pages, serves them with the packed package, and opens tabs.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { startChromium } from "../dashboard/harness.mjs";
import { serve } from "../hosts/kit.mjs";

const absolutePath = (path) => fileURLToPath(new URL(path, import.meta.url));
const MAP = { deltalink: "/deltalink/browser.js", "deltalink/testing": "/deltalink/testing.js" };
/** The constants that the bundler of a Vue project defines. */
const VUE_FLAGS = {
  __VUE_OPTIONS_API__: "true",
  __VUE_PROD_DEVTOOLS__: "false",
  __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
};
const ADAPTERS = Object.fromEntries(
  ["react", "vue", "tanstack-db"].map((name) => [
    `deltalink/${name}`,
    absolutePath(`../node_modules/deltalink/${name}.js`),
  ]),
);
const document = (script) => `<!doctype html>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<script type="importmap">${JSON.stringify({ imports: MAP })}</script>
<div id="root"></div>
<script type="module" src="${script}"></script>`;

/** The modules of React 18, which is installed in addition to React 19. */
const REACT_18 = {
  react: absolutePath("react-18/node_modules/react"),
  "react-dom": absolutePath("react-18/node_modules/react-dom"),
  "react-dom/server": absolutePath("react-18/node_modules/react-dom/server.browser.js"),
};

/**
 * Builds a script for each entry of `entries`: its name, its file, and the `alias` for esbuild.
 * Serves the scripts, and starts Chromium.
 */
export async function stage(entries) {
  const folder = await mkdtemp(join(tmpdir(), "deltalink-adapters-"));
  await Promise.all(
    Object.entries(entries).map(([name, { file, alias }]) =>
      build({
        entryPoints: [absolutePath(file)],
        bundle: true,
        format: "esm",
        target: "es2022",
        jsx: "automatic",
        // Only the development builds of frameworks log warnings.
        define: { "process.env.NODE_ENV": '"development"', ...VUE_FLAGS },
        // The browser imports the package itself, with its wasm beside it.
        external: Object.keys(MAP),
        alias: { ...ADAPTERS, ...alias },
        logLevel: "error",
        outfile: join(folder, `${name}.js`),
      }),
    ),
  );
  const site = await serve(
    (path) => (path.startsWith("/deltalink/") ? absolutePath(`../node_modules${path}`) : join(folder, path)),
    (path) => {
      const [, name] = /^\/([\w-]+)\.html$/.exec(path) ?? [];
      return name && { status: 200, type: "text/html", body: document(`${name}.js`) };
    },
  );
  const chromium = await startChromium();
  return {
    /**
     * Opens a tab with this script, and waits until the script has set `window[global]`.
     * `complaints` are its errors and warnings.
     */
    async open(name, global) {
      const context = await chromium.newContext();
      const page = await context.newPage();
      const complaints = [];
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) complaints.push(message.text());
      });
      page.setDefaultTimeout(10_000);
      await page.goto(`${site.origin}/${name}.html`);
      await page
        .waitForFunction((global) => window[global], global)
        .catch((error) => Promise.reject(new Error([error.message, ...complaints].join("\n"))));
      return { page, complaints, close: () => context.close() };
    },
    async end() {
      await chromium.close();
      await site.end();
      await rm(folder, { recursive: true });
    },
  };
}

/** The bundles of a file with both versions of React. */
export const withReact = (file) => ({
  "react-18": { file, alias: REACT_18 },
  "react-19": { file },
});
