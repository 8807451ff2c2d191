import * as deltalink from "deltalink";
import { run } from "./task.js";

self.addEventListener("connect", ({ ports: [port] }) => {
  port.onmessage = async ({ data }) => port.postMessage(await run(deltalink, data));
});
