// Compiles each TypeScript block of the README and of some pages of docs/ as a separate file, and
// runs those marked `ts run`. Declares the names that the blocks use without defining them.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { transformSync } from "esbuild";

const root = new URL("..", import.meta.url).pathname;
const folder = `${root}tests/types/readme`;
/** The pages, with the least number of blocks that each has. */
const pages = {
  "README.md": 4,
  "docs/calendar.md": 1,
  "docs/live.md": 4,
  "docs/logging.md": 3,
  "docs/react.md": 4,
};
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
  function signIn(claims?: string): Promise<void>;
  function draw(items: readonly unknown[], ready: boolean, total: number): void;
}
export {};
`;

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
/** The blocks of all pages: `[, extension, mark, code]`. */
const blocks = Object.entries(pages).flatMap(([page, least]) => {
  const found = [...readFileSync(`${root}${page}`, "utf8").matchAll(/^```(tsx?)( run)?\n(.*?)^```$/gms)];
  if (found.length < least) throw new Error(`${page} has ${found.length} TypeScript blocks`);
  return found;
});
blocks.forEach(([, extension, , code], at) => {
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
  writeFileSync(`${folder}/block-${at + 1}.${extension}`, `${open}${error}${weeks}${code}export {};\n`);
});
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
  'declare module "node:assert/strict" { const assert: { equal(a: unknown, b: unknown): void; deepEqual(a: unknown, b: unknown): void }; export default assert }',
);
// Angular is not installed: the part of it that a block uses.
writeFileSync(
  `${folder}/angular.d.ts`,
  `declare module "rxjs" { class Observable<T> { constructor(subscribe: (to: { next(value: T): void }) => () => void) } }
declare module "@angular/core/rxjs-interop" { function toSignal<T>(source: import("rxjs").Observable<T>, options: { initialValue: T }): () => T }`,
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
// have errors of their own under the strict options of this repository.
const errors = (stdout ?? "").split(/\n(?=\S)/).filter((error) => error.trim());
const own = errors.filter((error) => !error.startsWith("node_modules/@tanstack/"));
for (const error of own) console.error(error);
process.exitCode = own.length || (status && !errors.length) || status === null ? 1 : 0;
const run = blocks.filter(([, , mark]) => mark);
if (!run.length) throw new Error("no page has a block to run");
for (const [, , , code] of run) {
  const { status } = spawnSync(process.execPath, ["--input-type=module", "-"], {
    cwd: folder,
    input: transformSync(code, { loader: "ts" }).code,
    stdio: ["pipe", "inherit", "inherit"],
  });
  if (status !== 0) process.exitCode = 1;
}
