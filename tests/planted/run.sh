#!/usr/bin/env bash
# Shows that the model tests find bugs: patches twenty bugs into a copy of the sources and enables
# them one at a time. One of a thousand scenarios, or a test of tests/field, must find each. Update
# `bugs.patch` when it no longer applies to the sources.
set -euo pipefail
cd "$(dirname "$0")/../.."
tree=target/planted/tree
rm -rf "$tree"
mkdir -p "$tree/tests"
cp -r Cargo.toml Cargo.lock src "$tree/"
cp -r tests/live.rs tests/live tests/model.rs tests/model tests/driver tests/field.rs tests/field tests/fake-graph "$tree/tests/"
mkdir -p "$tree/pkg-template"
cp pkg-template/index.d.ts "$tree/pkg-template/"
patch --quiet --strip=1 --directory="$tree" <tests/planted/bugs.patch
exec cargo test --locked --manifest-path "$tree/Cargo.toml" --target-dir target/planted/target -p deltalink --test model --test field --test live \
  -- --show-output planted
