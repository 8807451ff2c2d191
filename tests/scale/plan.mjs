// Loads the planning module of the edge example, which is TypeScript.
import { build } from "esbuild";

const entry = new URL("../../www/edge/src/plan.ts", import.meta.url).pathname;

export async function loadPlan() {
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, format: "esm", write: false });
  return import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
}
