// Serves the dashboard and a fake Graph until Ctrl-C: node scripts/demo.mjs [port]
import { startFake } from "../tests/fake.mjs";

const port = process.argv[2] ?? "4747";
const fake = await startFake("--port", port, "--seed", "1", "--static", "www/dist").catch((error) => {
  console.error(`demo: ${error.message}; if port ${port} is in use, choose another one: make demo PORT=8080`);
  process.exit(1);
});
console.log(
  `\n  The dashboard, on a fake Microsoft Graph:  ${fake.origin}/\n\n  Ctrl-C stops it. The browser keeps the data of the dashboard; the fake Graph keeps nothing.\n`,
);
process.on("SIGINT", async () => {
  await fake.stop();
  process.exit(0);
});
