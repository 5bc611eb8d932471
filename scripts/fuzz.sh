#!/usr/bin/env bash
# Runs every fuzz target for a bounded time: fuzz.sh [TIME]
set -euo pipefail
cd "$(dirname "$0")/.."

time=${1:-20s}
go list ./... | while read -r package; do
  { go test -list '^Fuzz' "$package" </dev/null | grep '^Fuzz' || true; } | while read -r target; do
    echo "== $package $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" </dev/null
  done
done
