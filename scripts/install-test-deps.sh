#!/usr/bin/env bash
# Installs the dependencies of the tests that this machine lacks.
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

# A client for Python, into build/python.
requirements=test/clients/python/requirements.txt
if [[ ! build/python/requirements.txt -nt $requirements ]]; then
  python3 -m venv --clear build/python
  build/python/bin/pip install --quiet --requirement $requirements
  cp $requirements build/python
fi

# A Redis client for Python, into build/publishers.
requirements=test/publishers/requirements.txt
if [[ ! build/publishers/requirements.txt -nt $requirements ]]; then
  python3 -m venv --clear build/publishers
  build/publishers/bin/pip install --quiet --requirement $requirements
  cp $requirements build/publishers
fi

# The fuzzer of the operator API, into build/contract.
requirements=test/contract/requirements.txt
if [[ ! build/contract/requirements.txt -nt $requirements ]]; then
  python3 -m venv --clear build/contract
  build/contract/bin/pip install --quiet --requirement $requirements
  cp $requirements build/contract
fi

# A Redis client for Java, into build/jedis.
project=test/publishers/pom.xml
if [[ ! build/jedis/pom.xml -nt $project ]]; then
  mvn --quiet --batch-mode --file $project package
  cp $project build/jedis
fi

# Microsoft's .NET clients, into build/dotnet.
scripts/build-dotnet.sh
