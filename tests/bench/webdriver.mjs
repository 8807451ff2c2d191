// Starts Firefox and WebKitGTK with the web page of the benchmarks.
import * as engines from "../webdriver.mjs";

const withBench = (engine, name = engine.name) => ({ ...engine, name, start: () => engine.start("bench") });

export const firefox = withBench(engines.firefox);
export const webkit = withBench(engines.webkit, "WebKitGTK");
