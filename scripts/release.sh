#!/usr/bin/env bash
# Makes the files of a release from the tag of the current commit: binaries, SBOM, notes, checksums and, with docker, the image.
# RELEASE_VERSION makes them for that version from any commit, to try the script; RELEASE_PLATFORMS limits the platforms.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "release: $*" >&2; exit 1; }

if [[ -n ${RELEASE_VERSION:-} ]]; then
  version=$RELEASE_VERSION
else
  [[ -z $(git status --porcelain) ]] || fail "the work tree has changes: commit them first"
  version=$(git describe --tags --exact-match 2>/dev/null) || fail "the commit has no tag: see docs/releasing.md"
fi
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || fail "the version $version is not of the form v1.2.3"

out=build/release
rm -rf "$out"
mkdir -p "$out"

notes=$out/rte-server-$version.md
awk -v heading="## ${version#v}" 'index($0, heading) == 1 { found = 1; next } /^## / { found = 0 } found' CHANGELOG.md >"$notes"
if [[ ! -s $notes ]]; then
  [[ -n ${RELEASE_VERSION:-} ]] || fail "CHANGELOG.md has no heading \"## ${version#v}\""
  awk '/^## Unreleased/ { found = 1; next } /^## / { found = 0 } found' CHANGELOG.md >"$notes"
fi

for platform in ${RELEASE_PLATFORMS:-linux-amd64 linux-arm64}; do
  binary=$out/rte-server-$version-$platform
  GOOS=${platform%-*} GOARCH=${platform#*-} CGO_ENABLED=0 \
    go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.version=$version" -o "$binary" ./cmd/rte-server
  # The module list of the binary itself, so that it cannot differ from what was linked.
  go version -m -json "$binary" | jq --arg version "$version" --arg name "$(basename "$binary")" '{
    bomFormat: "CycloneDX", specVersion: "1.5", version: 1,
    metadata: {component: {type: "application", name: "rte-server", version: $version, "bom-ref": $name}},
    components: [.Deps[] | (.Replace // .) | {
      type: "library", name: .Path, version: .Version,
      purl: ("pkg:golang/" + .Path + "@" + .Version), "bom-ref": (.Path + "@" + .Version)
    }]
  }' >"$binary.cdx.json"
  [[ $(jq '.components | length' "$binary.cdx.json") -gt 0 ]] || fail "the SBOM of $platform lists no module"
done

# The licences require that their texts are passed on: the modules of the binaries, Go, and the packages of npm in the pages.
{
  for binary in "$out"/*-linux-*; do
    if [[ -x $binary ]]; then
      go version -m -json "$binary" | jq --raw-output '.Deps[] | (.Replace // .) | .Path + "@" + .Version'
    fi
  done | LC_ALL=C sort --unique | while read -r module; do
    printf '%s %s\n' "$module" "$(go list -m -f '{{.Dir}}' "${module%@*}")"
  done
  printf 'go %s\n' "$(go env GOROOT)"
  for lock in web/*/package-lock.json; do
    jq --raw-output --arg folder "$(dirname "$lock")" '.packages | to_entries[]
      | select(.key != "" and (.value.dev | not)) | (.key | sub(".*node_modules/"; "")) + " " + $folder + "/" + .key' "$lock"
  done
} | LC_ALL=C sort --unique --key 1,1 | while read -r part dir; do
  mapfile -t texts < <(find "$dir" -maxdepth 1 -type f \( -iname 'licen[cs]e*' -o -iname 'notice*' \) | LC_ALL=C sort)
  printf '== %s\n\n' "$part"
  if ((${#texts[@]})); then
    cat "${texts[@]}"
  else
    # Some packages of npm only name their licence.
    jq --raw-output '.license + ", " + (.author.name? // .author)' "$dir/package.json" ||
      fail "$part has no licence in $dir (npm ci --prefix for packages of npm)"
  fi
  printf '\n\n'
done >"$out/rte-server-$version-licenses.txt"

if docker info >/dev/null 2>&1; then
  make image VERSION="$version"
  docker save --output "$out/rte-server-$version-image.tar" "rte-server:$version"
else
  echo "release: no container engine answers, so no image was made" >&2
fi

(cd "$out" && sha256sum -- rte-server-* >SHA256SUMS)
cat "$out/SHA256SUMS"
