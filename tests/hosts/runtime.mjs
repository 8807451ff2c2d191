// What Node, Deno and Bun run. Copied into each project as it is.
import { round } from "./round.js";

const [endpoint, token] = process.argv.slice(2);
round({ endpoint, token, store: "memory" }).then((result) => console.log(JSON.stringify(result)));
