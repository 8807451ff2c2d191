import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const absolutePath = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/**
 * Writes `sw.js` with the list of files of this build and the hash of their bytes as its version.
 */
function serviceWorker(): Plugin {
  return {
    name: "service-worker",
    apply: "build",
    enforce: "post",
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        const hash = createHash("sha256");
        const files: string[] = [];
        for (const file of Object.values(bundle).sort((a, b) => (a.fileName < b.fileName ? -1 : 1))) {
          if (file.fileName.endsWith(".map")) continue;
          files.push(file.fileName);
          hash.update(file.fileName).update(file.type === "chunk" ? file.code : file.source);
        }
        for (const name of readdirSync(absolutePath("public")).sort()) {
          files.push(name);
          hash.update(name).update(readFileSync(absolutePath(`public/${name}`)));
        }
        const template = readFileSync(absolutePath("src/sw.js"), "utf8");
        const source = template
          .replace('"__VERSION__"', JSON.stringify(hash.update(template).digest("hex").slice(0, 16)))
          .replace('"__FILES__"', JSON.stringify(files));
        this.emitFile({ type: "asset", fileName: "sw.js", source });
      },
    },
  };
}

/**
 * Removes the Content Security Policy in the development server of Vite, which needs inline styles
 * and a socket.
 */
function policyInBuildsOnly(): Plugin {
  return {
    name: "policy-in-builds-only",
    apply: "serve",
    transformIndexHtml: (html) => html.replace(/<meta\s+http-equiv="Content-Security-Policy"[^>]*>/, ""),
  };
}

/**
 * The mode `static` builds the demo without a server (`make demo-static`): the fake Graph is in the
 * web page, see src/demo.ts.
 */
export default defineConfig(({ mode }) => ({
  root: absolutePath("."),
  // Relative URLs, so that the dashboard works below any path.
  base: "./",
  plugins: [serviceWorker(), policyInBuildsOnly()],
  // The pre-bundling of Vite would separate the package from its wasm file.
  optimizeDeps: { exclude: ["deltalink"] },
  build: {
    outDir: absolutePath(mode === "static" ? "../dist/demo-static" : "dist"),
    emptyOutDir: true,
    target: "es2022",
    // The Content Security Policy forbids fetching a wasm file in a data: URL.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      // "use client" of React libraries has no meaning without server rendering.
      onwarn: (warning, warn) => void (warning.code === "MODULE_LEVEL_DIRECTIVE" || warn(warning)),
      input: { index: absolutePath("index.html"), auth: absolutePath("auth.html") },
    },
  },
}));
