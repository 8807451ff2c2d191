// Runs the task in a process. The first argument is the entry of the package.
import process from "node:process";
import { run } from "./task.js";

const [entry, endpoint, token] = process.argv.slice(2);
const result = await run(await import(entry), { endpoint, token, account: "alex" });
console.log(JSON.stringify(result));
process.exit();
