#!/usr/bin/env bash
# Builds the npm package (dist/package, dist/deltalink.tgz), the fake Graph and, on the packed package, the dashboard.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
esbuild() { node_modules/.bin/esbuild "$@" --minify --format=esm --target=es2022 --log-level=warning; }

# Panic messages name source files: without this they would name this machine's folders. Added to the flags of .cargo/config.toml.
cargo="${CARGO_HOME:-$HOME/.cargo}"
if [ ! -d target/wasm32-unknown-unknown/release ]; then echo "build: compiling for the first time takes a minute or two"; fi
remap="\"--remap-path-prefix=$PWD/=\", \"--remap-path-prefix=$HOME/=\", \"--remap-path-prefix=$(rustc --print sysroot)/lib/rustlib/src/rust/=\""
for registry in "$cargo"/registry/src/*/; do remap+=", \"--remap-path-prefix=$registry=\""; done
cargo build --quiet --locked --release --target wasm32-unknown-unknown --config "target.wasm32-unknown-unknown.rustflags = [$remap]" -p deltalink -p fake-graph-wasm
release=target/wasm32-unknown-unknown/release
rm -rf dist/package dist/bindgen
mkdir -p dist/package
wasm-bindgen --target web --omit-default-module-path --no-typescript --out-dir dist/bindgen $release/deltalink.wasm
# Inlining at this point saves bytes and costs gzipped ones.
node_modules/.bin/wasm-opt -Oz --one-caller-inline-max-function-size=20 --always-inline-max-function-size=5 \
  --flexible-inline-max-function-size=5 --strip-debug --strip-producers dist/bindgen/deltalink_bg.wasm -o dist/package/deltalink.wasm
# wasm-bindgen's JavaScript, as a function that gives an instance of its own each time it is called. Some of its globals are the caller's:
# engine.js guards what comes out of WebAssembly, and stops the timers and requests of an instance that has ended.
node_modules/.bin/esbuild dist/bindgen/deltalink.js --bundle --format=iife --global-name=api --minify --target=es2022 --log-level=warning \
  --banner:js='export default function glue(WebAssembly, setTimeout, clearTimeout, AbortController) {' --footer:js='return api; }' --outfile=dist/package/deltalink.js
cp pkg-template/*.js pkg-template/*.d.ts pkg-template/package.json README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE dist/package/
cp -r pkg-template/stores dist/package/
node scripts/notices.mjs >dist/package/THIRD-PARTY-NOTICES
node scripts/stamp.mjs dist/package/deltalink.wasm dist/package/compile.js
node scripts/inline.mjs dist/package/deltalink.wasm dist/package/inline.js
# The fake Graph of deltalink/testing, again only when it has changed: wasm-opt takes its time.
if [ ! dist/fake/fake-graph.wasm -nt $release/fake_graph_wasm.wasm ]; then
  rm -rf dist/fake
  wasm-bindgen --target web --omit-default-module-path --no-typescript --out-dir dist/fake $release/fake_graph_wasm.wasm
  node_modules/.bin/wasm-opt -Os --strip-debug --strip-producers dist/fake/fake_graph_wasm_bg.wasm -o dist/fake/fake-graph.wasm
fi
cp dist/fake/fake-graph.wasm dist/package/
cp pkg-template/inline.js dist/package/fake-graph-inline.js
node scripts/inline.mjs dist/package/fake-graph.wasm dist/package/fake-graph-inline.js
esbuild dist/fake/fake_graph_wasm.js --outfile=dist/package/fake-graph-glue.js
# Minified as they are, module by module: every host imports its own entry.
esbuild dist/package/{api,changes,engine,error,locks,options,query,round,round-run,shared,snapshot,status,sync,window,compile,inline,fake-graph-inline,browser,node,workerd,edge-light}.js \
  --allow-overwrite --outdir=dist/package
esbuild dist/package/stores/*.js --allow-overwrite --outdir=dist/package/stores
(cd dist/package && npm pack --silent --pack-destination .. >/dev/null)
mv dist/deltalink-*.tgz dist/deltalink.tgz
# What stands beside www and the tests is the packed package, unpacked: nobody here imports the sources.
for place in www tests; do
  rm -rf "$place/node_modules/deltalink"
  mkdir -p "$place/node_modules/deltalink"
  tar xzf dist/deltalink.tgz -C "$place/node_modules/deltalink" --strip-components=1
done
cargo build --quiet --locked -p fake-graph
node_modules/.bin/vite build --config www/vite.config.ts --logLevel warn
