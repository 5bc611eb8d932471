#!/usr/bin/env bash
# Checks what a release consists of: two builds are equal, the licences of all parts are known and allowed, which writes
# the list into docs/licenses.md, and no part has a known vulnerability that the program calls.
set -euo pipefail
cd "$(dirname "$0")/.."

# Licences that require no more than to name the authors.
allowed='0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause ISC MIT Unlicense'

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

echo "== two builds of the last commit, in two folders, the second one with an empty cache"
export RELEASE_VERSION=v0.0.0 RELEASE_PLATFORMS=linux-amd64
for copy in first second; do
  git clone --quiet . "$work/$copy"
  for modules in web/*/node_modules; do ln -s "$(realpath "$modules")" "$work/$copy/$modules"; done
done
(cd "$work/first" && scripts/release.sh >/dev/null)
(cd "$work/second" && GOCACHE=$work/cache scripts/release.sh >/dev/null)
sums=build/release/SHA256SUMS
diff "$work/first/$sums" "$work/second/$sums" || { echo "the builds differ" >&2; exit 1; }
sed 's/^/equal: /' "$work/first/$sums"

echo "== parts: another tool finds the same ones as the SBOM of the release"
tool=$(go tool -n -modfile=tools/go.mod cyclonedx-gomod)
(cd "$work/first" && CGO_ENABLED=0 "$tool" app -json -licenses -main cmd/rte-server -output "$work/sbom.json" . 2>"$work/log") ||
  { cat "$work/log" >&2; exit 1; }
names() { jq -r '.components[] | .name + " " + .version' "$1" | LC_ALL=C sort; }
diff <(names "$work/first/build/release/rte-server-$RELEASE_VERSION-$RELEASE_PLATFORMS.cdx.json") <(names "$work/sbom.json") ||
  { echo "the lists of modules differ" >&2; exit 1; }

echo "== licences"
{
  jq -r '.components[] | [.name, .version, ([.evidence.licenses[]?.license | .id // .name] | unique | join(", "))] | @tsv' "$work/sbom.json"
  for lock in web/*/package-lock.json; do
    jq -r '.packages | to_entries[] | select(.key != "" and (.value.dev | not))
      | [(.key | sub(".*node_modules/"; "")), "v" + .value.version, .value.license] | @tsv' "$lock"
  done
} | LC_ALL=C sort -u >"$work/parts"

awk -F '\t' -v allowed="$allowed" '
  BEGIN { split(allowed, list, " "); for (i in list) ok[list[i]] = 1 }
  { n = split($3, names, ", "); for (i = 1; i <= n; i++) if (!(names[i] in ok)) bad = bad "\n" $1 ": " names[i]; if (!n) bad = bad "\n" $1 ": none found" }
  END { if (bad != "") { print "licences that are not allowed:" bad > "/dev/stderr"; exit 1 } }' "$work/parts"

page=docs/licenses.md
awk -F '\t' -v parts="$work/parts" '
  /^<!-- made by make supply-chain: end -->$/ { inside = 0 }
  !inside { print }
  /^<!-- made by make supply-chain: begin -->$/ {
    inside = 1
    print "\n| part | version | licence |\n|---|---|---|"
    while ((getline line <parts) > 0) { split(line, f, "\t"); print "| `" f[1] "` | " f[2] " | " f[3] " |" }
    print ""
  }' $page >"$work/page"
cp "$work/page" $page
echo "$(wc -l <"$work/parts") parts: $page"

echo "== vulnerabilities"
scripts/vuln.sh
