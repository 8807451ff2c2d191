#!/usr/bin/env bash
# Installs what the build and the tests need, each thing only where it is missing.
# A second run takes seconds. `setup.sh build` leaves out the browsers.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
what="${1:-all}"

say() { printf 'setup: %s\n' "$*"; }

need() { command -v "$1" >/dev/null || { say "$1 is missing: $2"; exit 1; }; }
need cargo "install Rust by rustup"
need rustup "it adds the target for WebAssembly"
need cc "a C compiler, for the tools that cargo builds"
need node "install Node 20 or newer"
need npm "install npm"

if ! rustup target list --installed 2>/dev/null | grep -q '^wasm32-unknown-unknown$'; then
  say "adding the Rust target wasm32-unknown-unknown"
  rustup target add wasm32-unknown-unknown
fi

# A cargo tool at the version this project was tested with, in the project's own cache.
tool() { # crate version binary
  if [ -x "$TOOLS/bin/$3" ] && grep -qx "$1 $2" "$TOOLS/versions" 2>/dev/null; then return; fi
  say "building $1 $2 (a few minutes, once)"
  cargo install --quiet "$1" --version "$2" --root "$TOOLS" --force --target-dir "$TOOLS/target"
  { grep -v "^$1 " "$TOOLS/versions" 2>/dev/null || true; echo "$1 $2"; } > "$TOOLS/versions.new"
  mv "$TOOLS/versions.new" "$TOOLS/versions"
}
mkdir -p "$TOOLS"
bindgen=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
tool wasm-bindgen-cli "$bindgen" wasm-bindgen
if [ "$what" = all ]; then
  tool wasm-pack 0.15.1 wasm-pack
  tool geckodriver 0.37.1 geckodriver
fi
rm -rf "$TOOLS/target"

if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  say "installing the npm packages of package-lock.json"
  npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi

if [ "$what" = all ]; then
  missing=()
  [ -n "$CHROMIUM" ] && [ -n "$CHROMEDRIVER" ] || missing+=(chromium chromium-driver)
  [ -n "$FIREFOX" ] || missing+=(firefox-esr)
  [ -n "$WEBKITDRIVER" ] || missing+=(webkit2gtk-driver)
  command -v xvfb-run >/dev/null || missing+=(xvfb xauth)
  fc-list 2>/dev/null | grep -q . || missing+=(fonts-dejavu-core)
  if [ "${#missing[@]}" -gt 0 ]; then
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
      say "installing ${missing[*]}"
      apt-get update -qq
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
      say "not installed, so what needs it is skipped: ${missing[*]} (on Debian: sudo apt-get install ${missing[*]})"
    fi
  fi
fi
say "ready"
