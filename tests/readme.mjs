// Compiles each TypeScript block of the README and of the documents in docs/ as a separate file,
// and runs those marked `ts run`. Declares the names that the blocks use without defining them.
// Checks the links of these documents and of CHANGELOG.md, CONTRIBUTING.md and STYLE.md.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { transformSync } from "esbuild";

const root = new URL("..", import.meta.url).pathname;
const folder = `${root}tests/types/readme`;
/** The documents in docs/. */
const docs = readdirSync(`${root}docs`).filter((name) => name.endsWith(".md"));
/** The documents whose blocks are compiled here. tests/edge/ compiles those of docs/edge.md. */
const documents = ["README.md", ...docs.filter((name) => name !== "edge.md").map((name) => `docs/${name}`)];
const around = `
import type { DeltaClient as _Client, DeltaQuery as _Query, DeltaStore as _Store, Event as _Event } from "deltalink";
declare global {
  const query: _Query<_Event>;
  const client: _Client;
  const signal: AbortSignal;
  interface Queue { send(body: unknown): Promise<void> }
  function show(events: _Event[]): void;
  function save(changes: unknown[]): Promise<void>;
  function setAlarm(at: Date | undefined): void;
  function askTheUser(claims?: string): void;
  function test(name: string, run: () => Promise<void>): void;
  function openMyStore(): Promise<_Store>;
  function row(id: string): HTMLElement | null;
  function draw(id: string, event: Partial<_Event>): void;
  function getToken(): Promise<string>;
  const pca: import("@azure/msal-browser").PublicClientApplication;
  const account: import("@azure/msal-browser").AccountInfo;
  const button: HTMLButtonElement;
  function signIn(claims?: string): Promise<void>;
  function draw(items: readonly unknown[], ready: boolean, total: number): void;
}
export {};
`;

for (const document of [...documents, "docs/edge.md", "CHANGELOG.md", "CONTRIBUTING.md", "STYLE.md"])
  checkLinks(document);

/** Throws if a link leads to a file, or to a heading of a document, that does not exist. */
function checkLinks(document) {
  const text = readFileSync(`${root}${document}`, "utf8");
  for (const [, link] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
    const [path, heading] = link.split("#");
    const target = path ? join(root, dirname(document), path) : `${root}${document}`;
    if (!existsSync(target)) throw new Error(`${document} has a dead link: ${link}`);
    const anchors = () =>
      readFileSync(target, "utf8")
        .match(/^#+ .*$/gm)
        .map(anchorOf);
    if (heading && !anchors().includes(heading)) throw new Error(`${document} has a dead link: ${link}`);
  }
}

function anchorOf(heading) {
  return heading
    .replace(/^#+ /, "")
    .toLowerCase()
    .replace(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
/** The blocks of all documents: `[, extension, mark, code]`. */
const blocks = documents.flatMap((document) => [
  ...readFileSync(`${root}${document}`, "utf8").matchAll(/^ *```(tsx?)( run)?\n(.*?)^ *```$/gms),
]);
if (blocks.length < 40) throw new Error(`only ${blocks.length} TypeScript blocks were found`);
blocks.forEach(([, extension, , code], index) => {
  // Some blocks use the query `weeks` of an earlier block.
  const weeks =
    code.includes("weeks.") && !code.includes("const weeks") ? "declare const weeks: typeof query;\n" : "";
  const open =
    code.includes("openDelta(") && !code.includes('from "deltalink"')
      ? 'import { openDelta } from "deltalink";\nimport type { TokenSource } from "deltalink";\ndeclare const token: TokenSource;\n'
      : "";
  const error =
    code.includes("DeltaError") && !code.includes('from "deltalink"')
      ? 'import { DeltaError } from "deltalink";\n'
      : "";
  writeFileSync(`${folder}/block-${index + 1}.${extension}`, `${open}${error}${weeks}${code}export {};\n`);
});
// Other blocks import those that begin with the name of a file.
for (const [, , , code] of blocks) {
  const name = code.match(/^\/\/ ([\w-]+\.tsx?)\n/)?.[1];
  if (name) writeFileSync(`${folder}/${name}`, code);
}
writeFileSync(`${folder}/around.d.ts`, around);
// The part of Cloudflare's types that the blocks use.
writeFileSync(
  `${folder}/workers.d.ts`,
  `declare module "cloudflare:workers" { class DurableObject<Env> { ctx: { storage: import("deltalink/stores/durable-object").ObjectStorage }; env: Env } }`,
);
// The part of OpenTelemetry's types that the blocks use.
writeFileSync(
  `${folder}/opentelemetry.d.ts`,
  `declare module "@opentelemetry/api" {
  enum SpanStatusCode { UNSET, OK, ERROR }
  interface Span { setStatus(status: { code: SpanStatusCode; message?: string }): this; end(time?: Date): void }
  interface Options { startTime?: number; attributes?: Record<string, string | number | boolean | undefined> }
  const trace: { getTracer(name: string): { startSpan(name: string, options?: Options): Span } };
}`,
);
writeFileSync(
  `${folder}/node.d.ts`,
  `declare module "node:assert/strict" { const assert: { equal(a: unknown, b: unknown): void; deepEqual(a: unknown, b: unknown): void }; export default assert }
declare module "node:fs/promises" {
  function readFile(path: string, encoding: "utf8"): Promise<string>;
  function writeFile(path: string, text: string): Promise<void>;
  function rename(from: string, to: string): Promise<void>;
}
declare module "node:http" {
  interface IncomingMessage extends AsyncIterable<Uint8Array> { method?: string; url?: string; headers: Record<string, string | string[] | undefined> }
  interface ServerResponse {
    writeHead(status: number, headers?: Record<string, string>): this;
    write(chunk: Uint8Array): void;
    end(text?: string): void;
    destroy(): void;
  }
  function createServer(respond: (request: IncomingMessage, response: ServerResponse) => void): { listen(port: number, host?: string): void; close(): void };
}
declare const process: { env: Record<string, string | undefined>; once(event: string, run: () => void): void };
declare namespace NodeJS { interface ErrnoException extends Error { code?: string } }`,
);
// Angular is not installed: the part of it that a block uses.
writeFileSync(
  `${folder}/angular.d.ts`,
  `declare module "rxjs" { class Observable<T> { constructor(subscribe: (to: { next(value: T): void }) => () => void) } }
declare module "@angular/core/rxjs-interop" { function toSignal<T>(source: import("rxjs").Observable<T>, options: { initialValue: T }): () => T }`,
);
// Not installed either: `make hosts` checks these blocks with the real packages.
writeFileSync(
  `${folder}/recipes.d.ts`,
  `declare module "@microsoft/teams-js" { const app: { initialize(): Promise<void> } }
declare module "@testing-library/react" {
  function render(element: import("react").ReactElement): { unmount(): void };
  const screen: { findByText(text: string): Promise<HTMLElement>; getAllByRole(role: string): HTMLElement[] };
}
declare module "vitest" {
  function expect(value: unknown): { toHaveLength(length: number): void };
  function test(name: string, run: () => Promise<void>): void;
}
declare module "@microsoft/sp-http" { interface AadTokenProvider { getToken(resource: string, options?: { useCachedToken?: boolean; claims?: string }): Promise<string> } }
declare module "@microsoft/mgt-element" { const Providers: { globalProvider: { getAccessToken(options: { scopes: string[] }): Promise<string>; getActiveAccount?(): { id: string } | undefined } } }
declare module "@azure/identity" { class InteractiveBrowserCredential { constructor(options: { clientId: string; tenantId: string }); authenticate(scopes: string): Promise<unknown>; getToken(scopes: string | string[]): Promise<{ token: string; expiresOnTimestamp: number }> } }`,
);
writeFileSync(
  `${folder}/tsconfig.json`,
  JSON.stringify({
    extends: "../tsconfig.json",
    compilerOptions: { jsx: "react-jsx" },
    include: ["*.ts", "*.tsx"],
  }),
);
const { status, stdout } = spawnSync("node_modules/.bin/tsc", ["-p", folder, "--pretty", "false"], {
  cwd: root,
  encoding: "utf8",
});
// An error is a line that begins with its file, and indented lines. The declarations of TanStack DB
// have errors under the strict options of this repository.
const errors = (stdout ?? "").split(/\n(?=\S)/).filter((error) => error.trim());
const own = errors.filter((error) => !error.startsWith("node_modules/@tanstack/"));
for (const error of own) console.error(error);
process.exitCode = own.length || (status && !errors.length) || status === null ? 1 : 0;
const run = blocks.filter(([, , mark]) => mark);
if (!run.length) throw new Error("no document has a block to run");
for (const [, , , code] of run) {
  const { status } = spawnSync(process.execPath, ["--input-type=module", "-"], {
    cwd: folder,
    input: transformSync(code, { loader: "ts" }).code,
    stdio: ["pipe", "inherit", "inherit"],
  });
  if (status !== 0) process.exitCode = 1;
}
