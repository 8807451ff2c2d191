import * as deltalink from "deltalink";
import { run } from "./task.js";

self.addEventListener("message", async ({ data }) => self.postMessage(await run(deltalink, data)));
