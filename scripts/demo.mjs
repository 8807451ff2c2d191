// Serves the dashboard on a fake Graph of its own until Ctrl-C: node scripts/demo.mjs [port]
import { startFake } from "../tests/fake.mjs";

const port = process.argv[2] ?? "4747";
const fake = await startFake("--port", port, "--seed", "1", "--static", "www/dist").catch((error) => {
  console.error(`demo: ${error.message}; is port ${port} taken? make demo PORT=… takes another one`);
  process.exit(1);
});
console.log(
  `\n  The dashboard, on a fake Microsoft Graph:  ${fake.origin}/\n\n  Ctrl-C ends it. What it stored stays in the browser; the server forgets.\n`,
);
process.on("SIGINT", async () => {
  await fake.stop();
  process.exit(0);
});
