#!/usr/bin/env bash
# Builds the npm package (dist/package, dist/deltalink.tgz), the fake Graph, and the dashboard, which
# imports the packed package.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
esbuild() { node_modules/.bin/esbuild "$@" --minify --format=esm --target=es2022 --log-level=warning; }

# Panic messages contain paths of source files. Remaps them, so that no folder of this machine is in
# the package. Cargo adds these flags to those of .cargo/config.toml.
cargo="${CARGO_HOME:-$HOME/.cargo}"
if [ ! -d target/wasm32-unknown-unknown/release ]; then echo "build: compiling for the first time takes a minute or two"; fi
remap="\"--remap-path-prefix=$PWD/=\", \"--remap-path-prefix=$HOME/=\", \"--remap-path-prefix=$(rustc --print sysroot)/lib/rustlib/src/rust/=\""
for registry in "$cargo"/registry/src/*/; do remap+=", \"--remap-path-prefix=$registry=\""; done
cargo build --quiet --locked --release --target wasm32-unknown-unknown --config "target.wasm32-unknown-unknown.rustflags = [$remap]" -p deltalink -p fake-graph-wasm
release=target/wasm32-unknown-unknown/release
rm -rf dist/package dist/bindgen
mkdir -p dist/package
wasm-bindgen --target web --omit-default-module-path --no-typescript --out-dir dist/bindgen $release/deltalink.wasm
# Without these limits wasm-opt inlines more: the file becomes smaller, but not its gzipped form.
node_modules/.bin/wasm-opt -Oz --converge --one-caller-inline-max-function-size=20 --always-inline-max-function-size=5 \
  --flexible-inline-max-function-size=5 --strip-debug --strip-producers dist/bindgen/deltalink_bg.wasm -o dist/package/deltalink.wasm
# Wraps the JavaScript of wasm-bindgen into a function that returns a new instance for each call. The
# caller passes some globals: engine.js guards the exports of WebAssembly, and stops the timers and
# requests of an instance that has ended.
node_modules/.bin/esbuild dist/bindgen/deltalink.js --bundle --format=iife --global-name=api --minify --target=es2022 --log-level=warning \
  --banner:js='export default function glue(WebAssembly, setTimeout, clearTimeout, AbortController) {' --footer:js='return api; }' --outfile=dist/package/deltalink.js
cp pkg-template/*.js pkg-template/*.d.ts pkg-template/package.json README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE dist/package/
node scripts/links.mjs
cp -r pkg-template/stores dist/package/
node scripts/notices.mjs >dist/package/THIRD-PARTY-NOTICES
node scripts/sbom.mjs >dist/package/sbom.json
node scripts/stamp.mjs dist/package/deltalink.wasm dist/package/compile.js
node scripts/inline.mjs dist/package/deltalink.wasm dist/package/inline.js
# The fake Graph of deltalink/testing. Built only if it has changed, because wasm-opt is slow.
if [ ! dist/fake/fake-graph.wasm -nt $release/fake_graph_wasm.wasm ]; then
  rm -rf dist/fake
  wasm-bindgen --target web --omit-default-module-path --no-typescript --out-dir dist/fake $release/fake_graph_wasm.wasm
  node_modules/.bin/wasm-opt -Os --strip-debug --strip-producers dist/fake/fake_graph_wasm_bg.wasm -o dist/fake/fake-graph.wasm
fi
cp dist/fake/fake-graph.wasm dist/package/
cp pkg-template/inline.js dist/package/fake-graph-inline.js
node scripts/inline.mjs dist/package/fake-graph.wasm dist/package/fake-graph-inline.js
esbuild dist/fake/fake_graph_wasm.js --outfile=dist/package/fake-graph-glue.js
# Minifies each module separately, because every host imports its own entry. The modules of
# deltalink/testing stay as they are, so that bundlers can choose among their parts.
modules=$(cd pkg-template && ls *.js | grep -vE '^(contract|fake-graph|testing)' | sed 's#^#dist/package/#')
esbuild $modules dist/package/fake-graph-inline.js --allow-overwrite --outdir=dist/package
esbuild dist/package/stores/*.js --allow-overwrite --outdir=dist/package/stores
(cd dist/package && npm pack --silent --pack-destination .. >/dev/null)
mv dist/deltalink-*.tgz dist/deltalink.tgz
# The dashboard and the tests import the unpacked package, never the sources.
for folder in www tests; do
  rm -rf "$folder/node_modules/deltalink"
  mkdir -p "$folder/node_modules/deltalink"
  tar xzf dist/deltalink.tgz -C "$folder/node_modules/deltalink" --strip-components=1
done
cargo build --quiet --locked -p fake-graph
node_modules/.bin/vite build --config www/vite.config.ts --logLevel warn
