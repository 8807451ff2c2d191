import resolve from "@rollup/plugin-node-resolve";

export default {
  input: "src/main.js",
  output: { dir: "www", format: "es" },
  plugins: [resolve()],
};
