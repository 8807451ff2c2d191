// The program for Node, Deno and Bun. Copied into each project unchanged.
import { round } from "./round.js";

const [endpoint, token] = process.argv.slice(2);
round({ endpoint, token, store: "memory" }).then((result) => console.log(JSON.stringify(result)));
