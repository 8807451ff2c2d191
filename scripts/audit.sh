#!/usr/bin/env bash
# Checks the crates and the npm packages for known vulnerabilities. Skips a check whose database is
# unreachable. Exits with 1 only if a check ran and found a vulnerability.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
found=0
say() { printf 'audit: %s\n' "$*"; }

# cargo: RustSec's database is a git repository.
if ! command -v cargo-deny >/dev/null; then
  say "crates: not checked, cargo-deny is not installed (make setup)"
elif ! timeout 60 cargo deny fetch db >/dev/null 2>&1; then
  say "crates: not checked, the advisory database cannot be reached"
elif cargo deny check advisories; then
  say "crates: no known vulnerability"
else
  found=1
fi

# npm: the registry sends a report or an error.
report=$(timeout 60 npm audit --json 2>/dev/null || true)
node -e '
  let report;
  try { report = JSON.parse(process.argv[1]); } catch { report = {}; }
  if (!report.metadata?.vulnerabilities) {
    console.log("audit: npm packages: not checked, the registry sent no report");
    process.exit(0);
  }
  const { info, low, moderate, high, critical } = report.metadata.vulnerabilities;
  console.log(`audit: npm packages: ${critical} critical, ${high} high, ${moderate} moderate, ${low + info} low`);
  for (const { name, severity, range } of Object.values(report.vulnerabilities)) console.log(`  ${severity}: ${name} ${range}`);
  process.exit(critical + high ? 1 : 0);
' "$report" || found=1
exit "$found"
