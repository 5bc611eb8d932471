#!/usr/bin/env bash
# Makes docs/compatibility.md from the results of the tests. The page shows failed tests, and they also fail the script.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failed=0
go test -count=1 -json ./internal/transport/... ./internal/hub ./test/e2e ./test/clients ./test/clients/rfc6455 \
  >"$work/results" || failed=1
scripts/autobahn.sh -json >>"$work/results" || failed=1
go run ./test/clients/compat <"$work/results" >"$work/page"
cp "$work/page" docs/compatibility.md
exit $failed
