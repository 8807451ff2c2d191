import js from "@eslint/js";
import ts from "typescript-eslint";

const everywhere = [
  "AbortController",
  "AbortSignal",
  "BroadcastChannel",
  "Event",
  "EventTarget",
  "Headers",
  "Request",
  "Response",
  "URL",
  "URLSearchParams",
  "console",
  "crypto",
  "fetch",
  "setTimeout",
  "clearTimeout",
  "setInterval",
  "clearInterval",
  "structuredClone",
  "performance",
  "WebAssembly",
  "TextDecoder",
  "TextEncoder",
  "ReadableStream",
  "DecompressionStream",
  "Blob",
  "atob",
];
const node = ["process", "Buffer", "setImmediate", "btoa"];
const browser = [
  "document",
  "window",
  "location",
  "navigator",
  "localStorage",
  "sessionStorage",
  "DOMException",
  "indexedDB",
  "IDBFactory",
  "IDBKeyRange",
  "IDBDatabase",
  "IDBObjectStore",
  "XMLHttpRequest",
  "queueMicrotask",
  "history",
  "self",
  "caches",
  "customElements",
  "Intl",
];
const globals = (names) => Object.fromEntries(names.map((name) => [name, "readonly"]));

export default ts.config(
  { ignores: ["dist", "target", "www/dist", "tests/types/readme", "**/node_modules", "screenshots"] },
  js.configs.recommended,
  {
    rules: {
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
  },
  { files: ["**/*.{js,mjs}"], languageOptions: { ecmaVersion: 2024, globals: globals(everywhere) } },
  {
    files: ["tests/**/*.mjs", "scripts/**/*.mjs", "www/*.js", "*.js"],
    languageOptions: { globals: globals([...node, ...browser]) },
  },
  {
    files: [
      "www/**/*.js",
      "tests/{adapters,bench,engines,kill,msal,soak}/site/*.js",
      "tests/adapters/example/*.js",
      "tests/engines/*.js",
      "tests/bench/contestants/*.js",
      "tests/hosts/**/*.js",
    ],
    languageOptions: { globals: globals(browser) },
  },
  {
    files: ["pkg-template/*.js", "tests/{hosts,package}/*.mjs"],
    languageOptions: {
      globals: globals([
        "WebAssembly",
        "DecompressionStream",
        "ReadableStream",
        "TextDecoder",
        "TextEncoder",
        "Blob",
        "atob",
      ]),
    },
  },
  {
    files: ["tests/hosts/next/**/*.js"],
    languageOptions: { parserOptions: { ecmaFeatures: { jsx: true } } },
  },
  {
    files: ["**/*.{ts,tsx}"],
    extends: [ts.configs.recommended],
    rules: { "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }] },
  },
);
