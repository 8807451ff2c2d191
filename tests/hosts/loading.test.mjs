// Tests how the wasm is loaded, in Chromium and in Node, even if some of its origins fail.
import assert from "node:assert/strict";
import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Project, resultOf, serve, stage } from "./kit.mjs";

const PACKAGE = new URL("../node_modules/deltalink/", import.meta.url).pathname;
let shared;
before(async () => {
  shared = await stage();
});
after(() => shared.end());

/** Opens a web page for the unbundled package. `respond` can override some responses. */
async function inWebPage(
  run,
  { respond, headers, document = "<!doctype html><title>A web page</title>" } = {},
) {
  const own = async (path) =>
    path === "/index.html" ? { status: 200, type: "text/html", body: document } : respond?.(path);
  const server = await serve((path) => join(PACKAGE, path), own, headers);
  const context = await shared.browser.newContext();
  try {
    const opened = await context.newPage();
    await opened.goto(server.origin);
    return await run(opened, server);
  } finally {
    await context.close();
    await server.end();
  }
}

/** Calls init() in the web page. Resolves to the origin of the wasm, or to the error. */
const load = (opened, given) =>
  opened.evaluate(async (given) => {
    const { init } = await import("/browser.js");
    return init(given).catch(({ name, code, message, retryable }) => ({ name, code, message, retryable }));
  }, given);

const isWasm = (path) => path === "/deltalink.wasm";
const wasm = () => readFile(join(PACKAGE, "deltalink.wasm"));
/** The same wasm with the stamp of another build. */
const withOtherStamp = (bytes) => Buffer.concat([bytes.subarray(0, -12), Buffer.from("of-old-times")]);
const FAILURES = {
  "the file is missing": () => ({ status: 404, type: "text/plain", body: "not found" }),
  "the server sends HTML for every path": () => ({
    status: 200,
    type: "text/html",
    body: "<!doctype html>",
  }),
  "HTML has the content type of wasm": () => ({
    status: 200,
    type: "application/wasm",
    body: "<!doctype html>",
  }),
  "the file is of another build": async () => ({
    status: 200,
    type: "application/wasm",
    body: withOtherStamp(await wasm()),
  }),
  "the file is another wasm": () => ({
    status: 200,
    type: "application/wasm",
    body: Buffer.from([0, 97, 115, 109, 1, 0, 0, 0]),
  }),
  "the file is cut short": async () => ({
    status: 200,
    type: "application/wasm",
    body: (await wasm()).subarray(0, 70_000),
  }),
};

describe("in a browser", () => {
  test("importing the package requests no wasm and has no effect", async () => {
    await inWebPage(async (opened, server) => {
      const before = await opened.evaluate(() => Object.getOwnPropertyNames(globalThis));
      await opened.evaluate(() => import("/browser.js"));
      assert.deepEqual(
        server.requestedPaths.filter((path) => isWasm(path) || path === "/inline.js"),
        [],
      );
      assert.equal(await load(opened), "url");
      assert.deepEqual(await opened.evaluate(() => Object.getOwnPropertyNames(globalThis)), before);
    });
  });

  test("several calls of init() request the file once and never the copy", async () => {
    await inWebPage(async (opened, server) => {
      const origins = await opened.evaluate(async () => {
        const { init } = await import("/browser.js");
        return [...(await Promise.all([init(), init()])), await init()];
      });
      assert.deepEqual(origins, ["url", "url", "url"]);
      assert.deepEqual(
        server.requestedPaths.filter((path) => isWasm(path) || path === "/inline.js"),
        ["/deltalink.wasm"],
      );
    });
  });

  for (const [what, failure] of Object.entries(FAILURES)) {
    test(`the copy in JavaScript is loaded if ${what}`, async () => {
      await inWebPage(async (opened) => assert.equal(await load(opened), "inline"), {
        respond: (path) => (isWasm(path) ? failure() : undefined),
      });
    });
  }

  test("a wasm with the wrong content type is loaded", async () => {
    const respond = async (path) =>
      isWasm(path) ? { status: 200, type: "application/octet-stream", body: await wasm() } : undefined;
    await inWebPage(async (opened) => assert.equal(await load(opened), "url"), { respond });
  });

  test("the copy in JavaScript is loaded if a Content-Security-Policy forbids the request", async () => {
    const headers = { "content-security-policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'" };
    await inWebPage(
      async (opened, server) => {
        assert.equal(await load(opened), "inline");
        assert.equal(server.requestedPaths.some(isWasm), false);
      },
      { headers },
    );
  });

  test("the error names a Content-Security-Policy without wasm-unsafe-eval", async () => {
    const headers = { "content-security-policy": "script-src 'self'" };
    await inWebPage(
      async (opened) => {
        const error = await load(opened);
        assert.equal(error.name, "DeltaError");
        assert.equal(error.code, "wasm");
        assert.match(error.message, /script-src 'wasm-unsafe-eval'/);
      },
      { headers },
    );
  });

  test("a bundle in a blob URL loads its copy in JavaScript", async () => {
    const project = await Project.make(
      shared,
      [
        ["esbuild", "."],
        ["round.js", "src/round.js"],
        ["page.js", "src/main.js"],
      ],
      false,
    );
    try {
      await project.run("esbuild src/main.js --bundle --format=esm --outfile=www/main.js");
      const document = `<!doctype html><title>A web page</title><body><script type="module">
        const source = await (await fetch("/main.js")).text();
        await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
      </script>`;
      const served = await serve(
        (path) => join(project.folder, "www", path),
        async (path) =>
          path === "/index.html" ? { status: 200, type: "text/html", body: document } : undefined,
      );
      try {
        assert.deepEqual(await project.openInBrowser(served.origin), resultOf("inline"));
      } finally {
        await served.end();
      }
    } finally {
      await project.end();
    }
  });

  test("a failed load names both reasons and can be repeated", async () => {
    let broken = true;
    const respond = (path) =>
      broken && (isWasm(path) || path === "/inline.js")
        ? { status: 503, type: "text/plain", body: "later" }
        : undefined;
    await inWebPage(
      async (opened) => {
        const error = await load(opened);
        assert.equal(error.code, "wasm");
        assert.equal(error.retryable, true);
        assert.match(error.message, /deltalink\.wasm has the status 503; .*inline\.js/);
        broken = false;
        assert.equal(await load(opened), "url");
      },
      { respond },
    );
  });

  test("init() loads the wasm that the caller passes, in each form, and reports its failure instead of falling back", async () => {
    const forms = {
      text: () => "/elsewhere.wasm",
      url: () => new URL("/elsewhere.wasm", location.href),
      response: () => fetch("/elsewhere.wasm"),
      bytes: async () => (await fetch("/elsewhere.wasm")).arrayBuffer(),
      module: () => WebAssembly.compileStreaming(fetch("/elsewhere.wasm")),
    };
    const respond = async (path) =>
      path === "/elsewhere.wasm"
        ? { status: 200, type: "application/wasm", body: await wasm() }
        : isWasm(path)
          ? FAILURES["the file is missing"]()
          : undefined;
    for (const [form, given] of Object.entries(forms)) {
      await inWebPage(
        async (opened, server) => {
          const wasmOrigin = await opened.evaluate(
            `(async () => (await import("/browser.js")).init((${given})()))()`,
          );
          assert.equal(wasmOrigin, "given", form);
          assert.equal(server.requestedPaths.some(isWasm), false, form);
        },
        { respond },
      );
    }
    await inWebPage(
      async (opened, server) => {
        assert.match((await load(opened, "/nowhere.wasm")).message, /nowhere\.wasm has the status 404/);
        assert.equal(server.requestedPaths.includes("/inline.js"), false);
        assert.equal(await load(opened, "/elsewhere.wasm"), "given");
      },
      { respond },
    );
  });
});

test("Node loads the copy in JavaScript if the file is missing", async () => {
  const project = await Project.make(
    shared,
    [
      ["round.js", "src/round.js"],
      ["runtime.mjs", "src/main.mjs"],
    ],
    false,
  );
  try {
    const file = join(project.folder, "node_modules/deltalink/deltalink.wasm");
    await rename(file, `${file}.away`);
    assert.deepEqual(await project.json(`${process.execPath} src/main.mjs`), resultOf("inline"));
  } finally {
    await project.end();
  }
});
