// Cycles among modules: files of JavaScript and TypeScript by their imports, modules of Rust by
// their paths.
import { posix } from "node:path";
import { tokens } from "./lines.mjs";

/** A source without its comments, so that only real imports are found. */
function withoutComments(path, text) {
  let [code, from] = ["", 0];
  for (const { start, end, isComment } of tokens(path, text)) {
    if (!isComment) continue;
    code += text.slice(from, start);
    from = end;
  }
  return code + text.slice(from);
}

const IMPORT = /\b(?:import|from)\s*\(?\s*"(\.[^"]*)"/g;

/**
 * Which file imports which, even if only for types, as a `Map` from a path to a `Set` of paths.
 * `sources` is a `Map` from a path to its text.
 */
export function imports(sources) {
  const resolve = (importer, specifier) => {
    const target = posix.join(posix.dirname(importer), specifier);
    const declared = target.replace(/\.js$/, ".d.ts");
    const candidates = importer.endsWith(".d.ts")
      ? [declared, target]
      : [target, `${target}.ts`, `${target}.tsx`, `${target}.js`, `${target}.d.ts`, `${target}/index.ts`];
    return candidates.find((path) => sources.has(path));
  };
  return new Map(
    [...sources].map(([path, text]) => {
      const specifiers = [...withoutComments(path, text).matchAll(IMPORT)].map(([, specifier]) => specifier);
      return [path, new Set(specifiers.map((one) => resolve(path, one)).filter(Boolean))];
    }),
  );
}

/**
 * Which module of Rust names which. A module and those below it count as one (`protocol::round`),
 * because a child always names its parent. Tests are left out.
 */
export function rustModules(sources) {
  const files = [...sources].filter(([path]) => !/(^|\/)tests(\/|\.rs$)/.test(path));
  const modules = new Map(files.map(([path, text]) => [moduleOf(path), withoutComments(path, text)]));
  const unitOf = (names) => names.slice(0, 2).join("::");
  const graph = new Map([...modules.keys()].map((name) => [unitOf(name.split("::")), new Set()]));
  for (const [name, text] of modules) {
    const own = name.split("::");
    const code = text.split(/#\[cfg\(test\)\]\s*mod \w+ \{/)[0];
    for (const path of paths(code)) {
      const names = absolute(path, own);
      const unit = names && unitOf(names);
      if (unit && unit !== unitOf(own) && graph.has(unit)) graph.get(unitOf(own)).add(unit);
    }
  }
  return graph;
}

/** `src/protocol/round/pages.rs` is `protocol::round::pages`. */
const moduleOf = (path) =>
  path
    .replace(/^src\//, "")
    .replace(/(\/mod)?\.rs$/, "")
    .replaceAll("/", "::");

/** Every path that begins with `crate`, `super` or `self`; the trees of `use` are expanded. */
function paths(code) {
  const trees = [...code.matchAll(/\buse\s+((?:crate|super|self)\b[^;]*);/g)].flatMap(([, tree]) =>
    expand(tree.replace(/\s+/g, "")),
  );
  return [...trees, ...[...code.matchAll(/\b(?:crate|super)(?:::\w+)+/g)].map(([path]) => path)];
}

/** `a::{b,c::{d,e}}` as `a::b`, `a::c::d` and `a::c::e`. */
function expand(tree) {
  const brace = tree.indexOf("{");
  if (brace < 0) return [tree];
  const prefix = tree.slice(0, brace);
  const branches = [];
  let [depth, from] = [0, brace + 1];
  for (let index = brace; index < tree.length; index++) {
    if (tree[index] === "{") depth += 1;
    if (tree[index] === "}") depth -= 1;
    if ((tree[index] === "," && depth === 1) || depth === 0) {
      branches.push(tree.slice(from, index));
      from = index + 1;
    }
    if (depth === 0) break;
  }
  return branches.filter(Boolean).flatMap((branch) => expand(branch).map((path) => prefix + path));
}

/** The names of a path from the root of the crate, seen from the module `own`. */
function absolute(path, own) {
  const names = path.split("::");
  if (names[0] === "crate") return names.slice(1);
  let base = own;
  if (names[0] === "self") names.shift();
  for (; names[0] === "super"; names.shift()) base = base.slice(0, -1);
  return [...base, ...names];
}

/** The cycles of a graph: each as its modules in order, with the first one again at the end. */
export function cycles(graph) {
  const found = [];
  const done = new Set();
  const visit = (node, path) => {
    const index = path.indexOf(node);
    if (index >= 0) found.push([...path.slice(index), node]);
    if (index >= 0 || done.has(node)) return;
    for (const next of graph.get(node) ?? []) visit(next, [...path, node]);
    done.add(node);
  };
  for (const node of graph.keys()) visit(node, []);
  return found;
}
