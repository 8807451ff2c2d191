// The hosts: projects as their tools make them. `parts` lists the files of a project: the source
// below tests/hosts and the target. `ways` lists the ways to run it: the name of the host, the
// expected origin of the wasm, and the function that runs a round.
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Miniflare } from "miniflare";
import { freePort } from "./kit.mjs";

const app = [
  ["round.js", "src/round.js"],
  ["page.js", "src/main.js"],
];
/** The same app on the fake Graph of `deltalink/testing`. */
const testingApp = [
  ["tested.js", "src/round.js"],
  ["page.js", "src/main.js"],
];
const program = [
  ["round.js", "src/round.js"],
  ["runtime.mjs", "src/main.mjs"],
];

/** `devOrigin`: the origin of the wasm in the development server. */
const vite = (major, devOrigin, files = app, prefix = "") => ({
  parts: [["vite/index.html", "index.html"], [`vite/${major}`, "."], ...files],
  ways: [
    [
      `${prefix}Vite ${major}, dev`,
      devOrigin,
      async (project) => {
        const port = await freePort();
        return project.openInBrowser(
          await project.start(`vite --host 127.0.0.1 --port ${port} --strictPort`, port),
        );
      },
    ],
    [
      `${prefix}Vite ${major}, build`,
      "url",
      async (project) => {
        await project.run("vite build");
        return project.openInBrowser(await project.serve("dist"));
      },
    ],
  ],
});

/** Runs the bundled modules of a Worker in workerd. */
export async function workerd(project, folder, main) {
  const files = await readdir(join(project.folder, folder));
  const modules = [main, ...files.filter((file) => file.endsWith(".wasm"))];
  const miniflare = new Miniflare({
    modules: modules.map((file) => ({
      type: file.endsWith(".wasm") ? "CompiledWasm" : "ESModule",
      path: join(project.folder, folder, file),
    })),
    modulesRoot: join(project.folder, folder),
    compatibilityDate: "2026-07-01",
  });
  try {
    return await project.getJson("http://worker.example/", (url) => miniflare.dispatchFetch(url));
  } finally {
    await miniflare.dispose();
  }
}

async function withoutFile(project, command) {
  await project.run("mv node_modules/deltalink/deltalink.wasm .");
  try {
    return await project.json(command);
  } finally {
    await project.run("mv deltalink.wasm node_modules/deltalink/");
  }
}

/** Runs tools under a newer Node, which the project installs. */
const NEWER_NODE = "PATH=$PWD/node_modules/node/bin:$PATH";

/** An app of a framework, whose rows come from a live query. */
const framework = (name, host, run) => ({
  parts: [
    ["vite/index.html", "index.html"],
    [`frameworks/${name}`, "."],
    ["frameworks/open.js", "src/open.js"],
  ],
  ways: [[host, "url", run]],
});

/** Tests as users write them: each is run, and writes the result of its first round. */
const userTest = (name, files, ways) => ({
  parts: [[`users/${name}`, "."], ["users/contacts.js", "contacts.js"], ...files],
  ways: ways.map(([host, wasmOrigin, command]) => [
    host,
    wasmOrigin,
    async (project) => {
      await project.run(`rm -f result.json; export PORT=${await freePort()}; ${command}`);
      return JSON.parse(await project.run("cat result.json"));
    },
  ]),
});
const unitTest = [["users/contacts.in-runner.js", "contacts.test.js"]];
const VITEST = `node extract.mjs && ${NEWER_NODE} vitest run`;
/** The pages that contain a component and its test. `extract.mjs` of the project reads them. */
const documentedTest = ["react.md", "testing.md"].map((page) => [`../../docs/${page}`, `docs/${page}`]);

/** Returns the sizes that wrangler prints for the Workers of docs/edge.md and of www/edge. */
async function uploadSizesOfEdge(project) {
  const text = await readFile(new URL("../../docs/edge.md", import.meta.url), "utf8");
  const [code] = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, block]) => block);
  await mkdir(join(project.folder, "docs/src"), { recursive: true });
  await writeFile(join(project.folder, "docs/src/index.ts"), code);
  await writeFile(join(project.folder, "docs/wrangler.jsonc"), /^```jsonc\n(.*?)^```$/ms.exec(text)[1]);
  await project.run(`cp -r ${new URL("../../www/edge", import.meta.url).pathname} edge`);
  const sizes = [];
  for (const folder of ["docs", "edge"]) {
    const output = await project.run(
      `node_modules/node/bin/node node_modules/wrangler/bin/wrangler.js deploy --dry-run --config ${folder}/wrangler.jsonc`,
    );
    assert.doesNotMatch(output, /WARNING|unexpected field/i, "the configuration is known");
    sizes.push(/Total Upload: (.*)/.exec(output)?.[1]);
  }
  return `docs/edge.md: ${sizes[0]}; www/edge: ${sizes[1]}`;
}

/** Bundles like wrangler: with the condition workerd, and each wasm as a separate module. */
const bundledWorker = (host, round) => ({
  smoke: true,
  parts: [
    ["worker/src", "src"],
    [round, "src/round.js"],
  ],
  ways: [
    [
      host,
      "module",
      async (project) => {
        await project.run(
          "esbuild src/index.js --bundle --format=esm --conditions=workerd,worker,browser --loader:.wasm=copy --outdir=out",
        );
        return workerd(project, "out", "index.js");
      },
    ],
  ],
});

/** `smoke` marks projects that need no tool but those of this repository. */
export const projects = [
  { smoke: true, ...vite(8, "url") },
  vite(7, "inline"),
  vite(6, "inline"),
  { smoke: true, ...vite(8, "url", testingApp, "deltalink/testing: ") },
  vite(6, "inline", testingApp, "deltalink/testing: "),
  {
    parts: [
      ["webpack", "."],
      ["round.js", "src/round.js"],
      ["page.js", "src/index.js"],
    ],
    ways: [
      [
        "webpack 5",
        "url",
        async (project) => {
          await project.run("npm run build");
          return project.openInBrowser(await project.serve("dist"));
        },
      ],
    ],
  },
  {
    smoke: true,
    parts: [["esbuild", "."], ...app, ["runtime.mjs", "src/main.mjs"]],
    ways: [
      [
        "esbuild, one file",
        "inline",
        async (project) => {
          await project.run("npm run build");
          return project.openInBrowser(await project.serve("www"));
        },
      ],
      [
        "esbuild, splitting",
        "inline",
        async (project) => {
          await project.run("npm run split");
          return project.openInBrowser(await project.serve("www"));
        },
      ],
      [
        "esbuild, one file for Node",
        "inline",
        async (project) => {
          await project.run("npm run node");
          return project.json("node www/main.cjs");
        },
      ],
    ],
  },
  {
    parts: [["rollup", "."], ...app],
    ways: [
      [
        "Rollup 4",
        "inline",
        async (project) => {
          await project.run("npm run build");
          return project.openInBrowser(await project.serve("www"));
        },
      ],
    ],
  },
  {
    smoke: true,
    parts: [["import-map", "."], ...app],
    ways: [
      [
        "a web page with an import map",
        "url",
        async (project) => project.openInBrowser(await project.serve()),
      ],
    ],
  },
  {
    parts: [
      ["next", "."],
      ["round.js", "src/round.js"],
    ],
    ways: [
      [
        "Next.js 16, dev, client component",
        "url",
        async (project) => {
          const port = await freePort();
          project.origin = await project.start(`next dev --hostname 127.0.0.1 --port ${port}`, port);
          return project.openInBrowser(project.origin);
        },
      ],
      [
        "Next.js 16, dev, hooks of React",
        "url",
        (project) => project.openInBrowser(`${project.origin}/hooks`),
      ],
      ["Next.js 16, dev, route handler", "file", (project) => project.getJson(`${project.origin}/api/round`)],
      [
        "Next.js 16, client component",
        "url",
        async (project) => {
          const port = await freePort();
          await project.run("next build");
          project.origin = await project.start(`next start --hostname 127.0.0.1 --port ${port}`, port);
          return project.openInBrowser(project.origin);
        },
      ],
      ["Next.js 16, hooks of React", "url", (project) => project.openInBrowser(`${project.origin}/hooks`)],
      ["Next.js 16, route handler", "file", (project) => project.getJson(`${project.origin}/api/round`)],
      [
        "Next.js 16, route handler at the edge",
        "module",
        (project) => project.getJson(`${project.origin}/api/edge`),
      ],
      [
        "Next.js 16, client component, by webpack",
        "url",
        async (project) => {
          const port = await freePort();
          await project.run("next build --webpack");
          project.origin = await project.start(`next start --hostname 127.0.0.1 --port ${port}`, port);
          return project.openInBrowser(project.origin);
        },
      ],
      [
        "Next.js 16, route handler, by webpack",
        "inline",
        (project) => project.getJson(`${project.origin}/api/round`),
      ],
      [
        "Next.js 16, route handler at the edge, by webpack",
        "module",
        (project) => project.getJson(`${project.origin}/api/edge`),
      ],
    ],
  },
  {
    parts: [
      ["opennext", "."],
      ["next/app/page.js", "app/page.js"],
      ["next/app/layout.js", "app/layout.js"],
      ["round.js", "src/round.js"],
    ],
    ways: [
      [
        "Next.js 16 by OpenNext, route handler in workerd",
        "module",
        async (project) => {
          const port = await freePort();
          await project.run(`sed 's#"deltalink"#"deltalink/edge-light"#' src/round.js >src/server.js`);
          await project.run(`${NEWER_NODE} opennextjs-cloudflare build`);
          project.origin = await project.start(
            `${NEWER_NODE} wrangler dev --ip 127.0.0.1 --port ${port} --show-interactive-dev-session=false`,
            port,
          );
          // OpenNext loads the entry for Node, whose error names the one that works.
          const { error } = await project.getJson(`${project.origin}/api/plain`);
          assert.match(
            error,
            /^wasm .*the entry "node" was loaded: .*disallowed by embedder; .*from "deltalink\/edge-light"/,
          );
          return project.getJson(`${project.origin}/api/round`);
        },
      ],
      ["Next.js 16 by OpenNext, client component", "url", (project) => project.openInBrowser(project.origin)],
    ],
  },
  {
    smoke: true,
    parts: program,
    ways: [
      [
        `Node ${process.versions.node}`,
        "file",
        (project) => project.json(`${process.execPath} src/main.mjs`),
      ],
    ],
  },
  {
    parts: [
      ["runtimes", "."],
      ...program,
      ["tested.js", "src/tested/round.js"],
      ["runtime.mjs", "src/tested/main.mjs"],
    ],
    ways: [
      ["Node 20", "file", (project) => project.json("node_modules/node-20/bin/node src/main.mjs")],
      ["Node 26", "file", (project) => project.json("node_modules/node/bin/node src/main.mjs")],
      ["Deno 2", "file", (project) => project.json("deno run --allow-net --allow-read src/main.mjs")],
      ["Bun 1", "file", (project) => project.json("bun src/main.mjs")],
      [
        "Deno 2 without the file",
        "inline",
        (project) => withoutFile(project, "deno run --allow-net --allow-read src/main.mjs"),
      ],
      ["Bun 1 without the file", "inline", (project) => withoutFile(project, "bun src/main.mjs")],
      [
        "deltalink/testing: Deno 2",
        "file",
        (project) => project.json("deno run --allow-net --allow-read src/tested/main.mjs"),
      ],
      ["deltalink/testing: Bun 1", "file", (project) => project.json("bun src/tested/main.mjs")],
    ],
  },
  {
    parts: [
      ["vitest", "."],
      ["round.js", "src/round.js"],
    ],
    ways: [
      [
        "Vitest 5 with fake-indexeddb",
        "file",
        async (project) => {
          const { root, tokens } = await project.world();
          await project.run(`${NEWER_NODE} ENDPOINT=${root} TOKEN=${tokens.delegated} vitest run`);
          return JSON.parse(await project.run("cat result.json"));
        },
      ],
    ],
  },
  {
    parts: [["recipes", "."], ["../../docs/sign-in.md", "sign-in.md"], ...program],
    ways: [
      [
        "docs/sign-in.md with MSAL, Teams, SharePoint, Graph Toolkit, @azure/identity",
        "file",
        async (project) => {
          await project.run("node extract.mjs && node_modules/.bin/tsc -p .");
          return project.json(`${process.execPath} src/main.mjs`);
        },
      ],
    ],
  },
  userTest(
    "vitest",
    [...unitTest, ...documentedTest],
    [
      ["Vitest 5 with jsdom and React", "file", `${VITEST} --environment jsdom`],
      ["Vitest 5 with happy-dom and React", "file", `${VITEST} --environment happy-dom`],
    ],
  ),
  userTest("jest", unitTest, [
    ["Jest 30 with jsdom and React", "file", "NODE_OPTIONS=--experimental-vm-modules jest"],
  ]),
  userTest(
    "playwright",
    [["vite/index.html", "index.html"]],
    [["Playwright 1 with React", "url", "playwright test"]],
  ),
  framework("react", "React 19 by Vite 8", async (project) => {
    await project.run("vite build");
    return project.openInBrowser(await project.serve("dist"));
  }),
  framework("vue", "Vue 3 by Vite 8", async (project) => {
    await project.run("vite build");
    return project.openInBrowser(await project.serve("dist"));
  }),
  framework("svelte", "SvelteKit 3", async (project) => {
    await project.run(`${NEWER_NODE} vite build`);
    return project.openInBrowser(await project.serve("build"));
  }),
  {
    parts: [
      ["frameworks/angular", "."],
      ["frameworks/open.js", "src/open.js"],
    ],
    ways: ["zoneless", "zone"].map((configuration) => [
      `Angular 22, ${configuration === "zone" ? "with" : "without"} zone.js`,
      "inline",
      async (project) => {
        await project.run(`${NEWER_NODE} ng build --configuration ${configuration}`);
        return project.openInBrowser(await project.serve(`out/${configuration}/browser`));
      },
    ]),
  },
  bundledWorker("workerd", "round.js"),
  bundledWorker("deltalink/testing: workerd", "tested.js"),
  {
    parts: [
      ["worker", "."],
      ["round.js", "src/round.js"],
    ],
    ways: [
      [
        "wrangler 4",
        "module",
        async (project) => {
          const output = await project.run(
            "node_modules/node/bin/node node_modules/wrangler/bin/wrangler.js deploy --dry-run --outdir=out",
          );
          const [upload] = output.match(/Total Upload: .*/) ?? [];
          const uploads = await uploadSizesOfEdge(project);
          const result = await workerd(project, "out", "index.js");
          return { ...result, note: `${upload}; ${uploads}` };
        },
      ],
    ],
  },
];
