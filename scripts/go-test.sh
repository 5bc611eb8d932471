#!/usr/bin/env bash
# Runs `go test` with the given arguments. After a failure the last lines name the tests that failed and their errors, so
# that they are found below the logs of servers.
#
# With REPEAT_FAILED_TESTS set, as in CI, failed tests run once more by themselves, and the result counts. The tests of real
# clients, browsers and faults share two processors: some depend on more time than a busy machine has. A data race, a
# panic, a failed build, and failures in more than three packages are never repeated. The report at the end of the run
# names every test that passed only the second time: each is a fault of the test or of the product, and has to be found.
set -euo pipefail

log=$(mktemp)
trap 'rm -f "$log"' EXIT
go test "$@" 2>&1 | tee "$log" && exit
{
  echo "== What failed"
  grep -E '^[[:space:]]*(--- FAIL|FAIL|panic:|WARNING: DATA RACE|[a-z0-9_]+_test\.go:[0-9]+: )|: error: |build failed' "$log" |
    cut -c 1-400 | head -n 200
} >&2 || true

[[ -n ${REPEAT_FAILED_TESTS:-} ]] || exit 1
if grep -qE '^(WARNING: DATA RACE|panic: |FAIL.*\[(build|setup) failed\])' "$log"; then
  exit 1
fi
# A line for each package: its name, and a pattern of its failed tests, which is empty if the package failed as a whole.
failed=$(awk '
  /^--- FAIL: [A-Z]/ { tests = tests (tests == "" ? "" : "|") $3 }
  /^(ok|\?) / || /^(ok|\?)\t/ { tests = "" }
  /^FAIL\t/ { print $2 "\t" (tests == "" ? "" : "^(" tests ")$"); tests = "" }
' "$log")
if [[ -z $failed || $(wc -l <<<"$failed") -gt 3 ]]; then
  exit 1
fi
flags=()
for argument; do
  [[ $argument == ./* ]] || flags+=("$argument")
done
repository=$(git rev-parse --show-toplevel)
while IFS=$'\t' read -r package tests; do
  echo "== Repeating $package ${tests:-(all tests)}" >&2
  go test "${flags[@]}" -count=1 ${tests:+-run "$tests"} "$package" </dev/null
  mkdir -p "$repository/build/reports"
  echo "passed only the second time: $package ${tests:-(all tests)}" >>"$repository/build/reports/repeated.txt"
done <<<"$failed"
