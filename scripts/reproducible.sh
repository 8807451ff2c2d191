#!/usr/bin/env bash
# Builds the package in this folder and in a copy of it elsewhere, and compares the files of both
# builds.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
scripts/build.sh
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy"
ln -s "$PWD/node_modules" "$copy/node_modules"
"$copy/scripts/build.sh"
diff -r dist/package "$copy/dist/package"
echo "reproducible: $(find dist/package -type f | wc -l) files are the same"
