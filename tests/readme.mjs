// Checks the code of the README by the compiler: each TypeScript block becomes a file of its own. What a block leaves to its
// reader stands here.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const root = new URL("..", import.meta.url).pathname;
const folder = `${root}tests/types/readme`;
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
  function askTheUser(): void;
  function test(name: string, run: () => Promise<void>): void;
  function openMyStore(): Promise<_Store>;
  function row(id: string): HTMLElement | null;
  function draw(id: string, event: Partial<_Event>): void;
}
export {};
`;

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const blocks = [...readFileSync(`${root}README.md`, "utf8").matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
if (blocks.length < 4) throw new Error(`the README has ${blocks.length} TypeScript blocks`);
blocks.forEach((code, at) => {
  // A block about the client of an earlier one says `weeks`.
  const weeks = code.includes("weeks.") && !code.includes("const weeks") ? "declare const weeks: typeof query;\n" : "";
  const error = code.includes("DeltaError") && !code.includes('from "deltalink"') ? 'import { DeltaError } from "deltalink";\n' : "";
  writeFileSync(`${folder}/block-${at + 1}.ts`, `${error}${weeks}${code}export {};\n`);
});
writeFileSync(`${folder}/around.d.ts`, around);
// As much of Cloudflare's types as the blocks use.
writeFileSync(
  `${folder}/workers.d.ts`,
  `declare module "cloudflare:workers" { class DurableObject<Env> { ctx: { storage: import("deltalink/stores/durable-object").ObjectStorage }; env: Env } }`,
);
writeFileSync(`${folder}/tsconfig.json`, JSON.stringify({ extends: "../tsconfig.json", include: ["*.ts"] }));
const { status } = spawnSync("node_modules/.bin/tsc", ["-p", folder], { cwd: root, stdio: "inherit" });
process.exitCode = status ?? 1;
