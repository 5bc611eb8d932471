#!/usr/bin/env bash
# Runs every fuzz target for a bounded time: fuzz.sh [TIME]. A failure does not keep the other targets from running.
set -euo pipefail
cd "$(dirname "$0")/.."

time=${1:-20s}
failed=()
for module in . bench; do
  mapfile -t packages < <(cd $module && go list ./...)
  for package in "${packages[@]}"; do
    mapfile -t targets < <(cd $module && go test -list '^Fuzz' "$package" | grep '^Fuzz')
    for target in "${targets[@]}"; do
      echo "== $package $target"
      (cd $module && go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package") || failed+=("$package $target")
    done
  done
done
if ((${#failed[@]})); then
  printf 'failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
