#!/usr/bin/env bash
# Runs `go test` with the given arguments. After a failure the last lines name the tests that failed and their errors, so
# that they are found below the logs of servers.
set -euo pipefail

log=$(mktemp)
trap 'rm -f "$log"' EXIT
go test "$@" 2>&1 | tee "$log" && exit
{
  echo "== What failed"
  grep -E '^[[:space:]]*(--- FAIL|FAIL|panic:|WARNING: DATA RACE|[a-z0-9_]+_test\.go:[0-9]+: )|: error: |build failed' "$log" |
    cut -c 1-400 | head -n 200
} >&2 || true
exit 1
