// Lists all suites. tests/README.md says what each one tests; tests/runner/ runs them.
//
// `node tests/run.mjs WORD…` runs the suites whose names contain one of the words, `--quick` those
// of `make quick`. With CI=true a missing engine fails; otherwise its tests count as skipped.
import { cargo, check, engines, node, nodeInEngines } from "./runner/kinds.mjs";
import { runAll } from "./runner/run-all.mjs";

const TSC = "node_modules/.bin/tsc";
const TSC_7 = "node node_modules/typescript-7/bin/tsc";
const WASM = "--target wasm32-unknown-unknown";

/** The lines of the TAP comments that begin with one of these words and a colon. */
const logged = (words) => (output) =>
  [...output.matchAll(new RegExp(`^# ((?:${words}): .*)$`, "gm"))].map(([, line]) => line).sort();
/** One line with the points at which tabs were killed, and how often at each. */
const kills = (output) => [logged("renderer|process|tabs")(output).join(", ")];
/** One line for each planted bug, with the scenario or the test that found it. */
const found = (output) =>
  [...output.matchAll(/^(seed +\d+|field test) finds that ([^:\n]*)/gm)].map(
    ([, finder, bug]) => `found as intended: ${bug} (${finder})`,
  );

const browsers = engines({
  quick: ["Chromium"],
  budgets: { build: 60, Chromium: 90, Firefox: 105, WebKit: 90 },
});
const afterBuild = { after: ["build"] };
/** Playwright drives the same browser as chromedriver does. */
const chromium = { needs: ["Chromium"], after: ["build"] };

// The suites begin in this order, as soon as the resources that they need are free.
const suites = [
  check("no sleeps", "node tests/no-sleeps.mjs", { budget: 5, quick: true }),
  check("structure", "node tests/structure.mjs", { budget: 5, quick: true }),
  check("format", "cargo fmt --all --check && node_modules/.bin/prettier --check . --log-level=warn", {
    budget: 20,
    quick: true,
  }),
  node("runner", "tests/runner/", { budget: 10, quick: true }),
  check("build", "scripts/build.sh", { needs: ["cargo"], budget: 90, quick: true }),
  check("licenses and sources", "cargo deny --offline check licenses bans sources", {
    tool: "cargo-deny",
    budget: 10,
  }),
  check("eslint", "node_modules/.bin/eslint . --max-warnings 0", { budget: 30 }),
  check("types, facade", `${TSC} -p tests/types/facade`, { budget: 10 }),
  check("types, TypeScript 5.9", `${TSC} -p tests/types`, { budget: 15, ...afterBuild }),
  check("types, current TypeScript", `${TSC_7} -p tests/types`, { budget: 10, ...afterBuild }),
  check("types, without the DOM", `${TSC} -p tests/types/no-dom && ${TSC_7} -p tests/types/no-dom`, {
    budget: 15,
    ...afterBuild,
  }),
  check("types, messages", "node tests/types/messages.mjs", { budget: 15, ...afterBuild }),
  check("types, README", "node tests/readme.mjs", { budget: 30, ...afterBuild }),
  check("types, dashboard", `${TSC} -p www --noEmit`, { budget: 15, ...afterBuild }),
  check("types, edge example", `${TSC} -p www/edge && ${TSC} -p tests/edge`, { budget: 20, ...afterBuild }),
  ...browsers.suites,
  cargo("native", "cargo test --locked --workspace --no-fail-fast", {
    needs: ["cargo"],
    budget: 90,
    quick: true,
  }),
  node("package", "tests/package/", {
    budget: 60,
    quick: true,
    notes: logged("clients"),
    ...afterBuild,
  }),
  ...nodeInEngines("package", "--test-timeout=60000 tests/engines/", {
    budgets: { Chromium: 30, Firefox: 40, WebKit: 30 },
    ...afterBuild,
  }),
  node("kill", "--test-timeout=400000 --test-concurrency=2 tests/kill/", {
    budget: 120,
    notes: kills,
    ...chromium,
  }),
  cargo("planted bugs", "tests/planted/run.sh", {
    needs: ["cargo"],
    budget: 60,
    notes: found,
  }),
  check("clippy, native", "cargo clippy --quiet --locked --workspace --all-targets -- -D warnings", {
    needs: ["cargo"],
    budget: 40,
  }),
  check(
    "clippy, wasm",
    `cargo clippy --quiet --locked -p deltalink --features http-tests ${WASM} --lib --tests -- -D warnings`,
    { needs: ["cargo"], budget: 40 },
  ),
  node("edge", "--test-timeout=300000 --test-concurrency=2 tests/edge/", {
    needs: ["workerd"],
    budget: 150,
    notes: logged("clients|cost|scale|storm|scenarios"),
    ...afterBuild,
  }),
  node("hosts", "--test-timeout=120000 tests/hosts/", { budget: 60, ...chromium }),
  node("tabs", "--test-timeout=120000 tests/tabs/", { budget: 90, ...chromium }),
  node("dashboard", "tests/dashboard/", { budget: 240, notes: logged("paint"), ...chromium }),
  node("adapters", "--test-timeout=120000 tests/adapters/", {
    budget: 60,
    notes: logged("lines"),
    ...chromium,
  }),
  node("msal", "--test-timeout=60000 tests/msal/", { budget: 20, ...chromium }),
  check("soak, 20 s", "node tests/soak/soak.mjs", {
    budget: 45,
    variables: { MINUTES: "0.33" },
    ...chromium,
  }),
  check("check-demo", "node tests/check-demo.mjs", { budget: 30, ...chromium }),
  node("peers", "tests/peers/", { budget: 15, ...afterBuild }),
  check("publint", "node_modules/.bin/publint run dist/deltalink.tgz --strict", {
    budget: 10,
    quick: true,
    ...afterBuild,
  }),
  check("attw", "node_modules/.bin/attw dist/deltalink.tgz --profile esm-only --quiet", {
    budget: 15,
    quick: true,
    ...afterBuild,
  }),
  check("size", "node scripts/size.mjs", { budget: 10, ...afterBuild }),
];

const words = process.argv.slice(2);
const isSelected = ({ name, quick }) =>
  !words.length || (words.includes("--quick") && quick) || words.some((word) => name.includes(word));
const selected = new Set(suites.filter(isSelected).flatMap(({ name, requires = [] }) => [name, ...requires]));
try {
  process.exitCode = await runAll(suites.filter(({ name }) => selected.has(name)));
} finally {
  await browsers.end();
}
