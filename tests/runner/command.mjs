// Runs a command for a suite. Appends its output to the log of the suite and returns all of it.
import { spawn } from "node:child_process";
import { appendFileSync } from "node:fs";

export const root = new URL("../..", import.meta.url).pathname;
export const env = await environment();
export const ci = process.env.CI === "true";

/** Resolves to `{ code, output }`. `log` is the file that the output is appended to. */
export function run(command, log, more = {}) {
  return new Promise((resolve) => {
    const variables = { ...process.env, ...env, ...more, FAKE_GRAPH: `${root}target/debug/fake-graph` };
    const child = spawn("bash", ["-c", command], {
      cwd: root,
      env: variables,
      stdio: ["ignore", "pipe", "pipe"],
    });
    appendFileSync(log, `$ ${command}\n`);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
        appendFileSync(log, text);
      });
    }
    child.on("close", (code, signal) => resolve({ code: code ?? signal, output }));
  });
}

/** The variables that scripts/env.sh sets on this machine. */
async function environment() {
  const names = ["TOOLS", "PATH", "CHROMIUM", "CHROMEDRIVER", "FIREFOX", "WEBKITDRIVER"];
  const print = `. scripts/env.sh; printf '%s\\n' ${names.map((name) => `"$${name}"`).join(" ")}`;
  const child = spawn("bash", ["-c", print], { cwd: root });
  let output = "";
  for await (const text of child.stdout) output += text;
  const values = output.split("\n");
  return Object.fromEntries(names.map((name, index) => [name, values[index]]));
}
