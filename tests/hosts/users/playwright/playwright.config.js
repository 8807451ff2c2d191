import process from "node:process";
import { defineConfig } from "@playwright/test";

const port = process.env.PORT;

export default defineConfig({
  use: {
    baseURL: `http://127.0.0.1:${port}`,
    launchOptions: { executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] },
  },
  webServer: { command: `vite --host 127.0.0.1 --port ${port} --strictPort`, port: Number(port) },
});
