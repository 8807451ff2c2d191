import * as deltalink from "deltalink";
import { run } from "./task.js";

self.addEventListener("message", (message) =>
  message.waitUntil(
    (async () => {
      const [port] = message.ports;
      port.postMessage(await run(deltalink, message.data));
    })(),
  ),
);
