#!/usr/bin/env bash
# Installs what the tests need and this machine lacks; does nothing when everything is there.
set -euo pipefail
cd "$(dirname "$0")/.."

# A program the tests start, and the Debian package that brings it.
programs=(
  gcc:gcc
  redis-server:redis-server
  redis-sentinel:redis-sentinel
  haproxy:haproxy
  chromium:chromium
  promtool:prometheus
  shellcheck:shellcheck
  yamllint:yamllint
  jq:jq
  openssl:openssl
  node:nodejs
  npm:npm
)

packages=()
for entry in "${programs[@]}"; do
  command -v "${entry%%:*}" >/dev/null || packages+=("${entry##*:}")
done

if ((${#packages[@]})); then
  if ! command -v apt-get >/dev/null; then
    echo "the tests need these Debian packages, or what they are called here: ${packages[*]}" >&2
    exit 1
  fi
  as_root=()
  if ((EUID != 0)); then
    as_root=(sudo)
  fi
  # Packages with a service would start it; the tests start their own.
  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  "${as_root[@]}" apt-get update --quiet
  "${as_root[@]}" apt-get install --quiet --yes --no-install-recommends "${packages[@]}"
fi

# The modules of a directory are there when npm's own record of them is newer than the lock file.
mapfile -t locks < <(find test -name package-lock.json -not -path '*/node_modules/*')
for lock in "${locks[@]}"; do
  dir=$(dirname "$lock")
  if [[ ! $dir/node_modules/.package-lock.json -nt $lock ]]; then
    npm ci --prefix "$dir" --no-audit --no-fund
    touch "$dir/node_modules/.package-lock.json"
  fi
done
