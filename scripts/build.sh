#!/usr/bin/env bash
# Builds the npm package (dist/package, dist/deltalink.tgz), the fake Graph and, on the packed package, the dashboard.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

# Panic messages name source files: without this they would name this machine's folders.
cargo="${CARGO_HOME:-$HOME/.cargo}"
RUSTFLAGS="--remap-path-prefix=$PWD/= --remap-path-prefix=$HOME/="
# Data lies behind the stack: with one of 256 KB instead of 1 MB, addresses take a byte less.
RUSTFLAGS+=" -C link-arg=-zstack-size=262144"
# Without reference types wasm-bindgen keeps JavaScript's values in a list of its own: 1 KB less. The standard library comes with
# them, so the linker is told what the module uses rather than left to find out; wasm-bindgen goes by that list.
RUSTFLAGS+=" -C target-feature=-reference-types,-multivalue -C link-arg=--no-check-features"
RUSTFLAGS+=" -C link-arg=--features=mutable-globals,bulk-memory,bulk-memory-opt,sign-ext,nontrapping-fptoint"
RUSTFLAGS+=" --remap-path-prefix=$(rustc --print sysroot)/lib/rustlib/src/rust/="
for registry in "$cargo"/registry/src/*/; do RUSTFLAGS+=" --remap-path-prefix=$registry="; done
export RUSTFLAGS
[ -d target/wasm32-unknown-unknown/release ] || echo "build: compiling for the first time takes a minute or two"
cargo build --quiet --locked --release --target wasm32-unknown-unknown -p deltalink -p fake-graph-wasm
rm -rf dist/package dist/bindgen
# For the browser tests, which compile it in.
node_modules/.bin/esbuild tests/browser/kit.js --bundle --format=esm --target=es2022 --log-level=warning --outfile=dist/kit.js
mkdir -p dist/package
wasm-bindgen --target web --omit-default-module-path --no-typescript --out-dir dist/bindgen target/wasm32-unknown-unknown/release/deltalink.wasm
# Inlining saves bytes but not gzipped ones.
node_modules/.bin/wasm-opt --flatten --rereloop -O2 -Oz -Oz --low-memory-unused --one-caller-inline-max-function-size=20 --always-inline-max-function-size=5 --flexible-inline-max-function-size=5 --strip-debug --strip-producers --strip-target-features --minify-imports-and-exports-and-modules dist/bindgen/deltalink_bg.wasm -o dist/package/deltalink.wasm | node scripts/short-names.mjs dist/bindgen/deltalink.js
# Nobody disposes of what the facade frees, and a wasm of the wrong media type needs no warning: it is loaded all the same.
node_modules/.bin/esbuild dist/bindgen/deltalink.js --drop:console --define:Symbol.dispose=undefined --mangle-props='^_+(wbg|wrap|destroy)' --minify --format=esm --target=es2022 --log-level=warning --outfile=dist/package/deltalink.js
cp pkg-template/*.js pkg-template/*.d.ts pkg-template/package.json README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE dist/package/
cp -r pkg-template/stores dist/package/
node scripts/notices.mjs >dist/package/THIRD-PARTY-NOTICES
node_modules/.bin/esbuild dist/package/stores/*.js --minify --format=esm --target=es2022 --log-level=warning --allow-overwrite --outdir=dist/package/stores
node scripts/stamp.mjs dist/package/deltalink.wasm dist/package/compile.js
node scripts/inline.mjs dist/package/deltalink.wasm dist/package/inline.js
# The fake Graph of deltalink/testing, again only when it has changed: wasm-opt takes its time.
built=target/wasm32-unknown-unknown/release/fake_graph_wasm.wasm
if [ ! dist/fake/fake-graph.wasm -nt "$built" ]; then
  rm -rf dist/fake
  wasm-bindgen --target web --omit-default-module-path --no-typescript --out-dir dist/fake "$built"
  node_modules/.bin/wasm-opt -Os --strip-debug --strip-producers dist/fake/fake_graph_wasm_bg.wasm -o dist/fake/fake-graph.wasm
fi
cp dist/fake/fake-graph.wasm dist/package/
cp pkg-template/inline.js dist/package/fake-graph-inline.js
node scripts/inline.mjs dist/package/fake-graph.wasm dist/package/fake-graph-inline.js
node_modules/.bin/esbuild dist/fake/fake_graph_wasm.js --minify --format=esm --target=es2022 --log-level=warning --outfile=dist/package/fake-graph-glue.js
# Minified as they are, module by module: every host imports its own entry.
node_modules/.bin/esbuild dist/package/{index,changes,drive,engine,error,lock,memory,mirror,store,window,indexed-db,compile,inline,fake-graph-inline,browser,node,workerd,edge-light}.js --minify --format=esm --target=es2022 --log-level=warning --allow-overwrite --outdir=dist/package
(cd dist/package && npm pack --silent --pack-destination .. >/dev/null)
mv dist/deltalink-*.tgz dist/deltalink.tgz
# What stands beside www and the tests is the packed package, unpacked: nobody here imports the sources.
for place in www tests; do
  rm -rf "$place/node_modules/deltalink"
  mkdir -p "$place/node_modules/deltalink"
  tar xzf dist/deltalink.tgz -C "$place/node_modules/deltalink" --strip-components=1
done
unset RUSTFLAGS
cargo build --quiet --locked -p fake-graph
node_modules/.bin/vite build --config www/vite.config.ts --logLevel warn
