#!/usr/bin/env bash
# Shows that the model test can fail: plants eleven bugs in a copy of the sources, one at a time, and
# lets the schedules find each within a thousand. `bugs.patch` has to follow the sources it changes.
set -euo pipefail
cd "$(dirname "$0")/../.."
tree=target/planted/tree
rm -rf "$tree"
mkdir -p "$tree/tests"
cp -r Cargo.toml Cargo.lock src "$tree/"
cp -r tests/model.rs tests/model tests/fake-graph "$tree/tests/"
mkdir -p "$tree/pkg-template"
cp pkg-template/index.d.ts "$tree/pkg-template/"
patch --quiet --strip=1 --directory="$tree" <tests/planted/bugs.patch
exec cargo test --locked --manifest-path "$tree/Cargo.toml" --target-dir target/planted/target -p deltalink --test model \
  -- --show-output planted
