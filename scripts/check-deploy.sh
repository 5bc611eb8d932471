#!/usr/bin/env bash
# Checks the files of deploy/ for other programs with these programs.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== Dockerfile"
# Works without a container engine: the files of the first stage must build into one static binary.
mkdir "$work/src"
mapfile -t copied < <(sed -n '/^FROM scratch/q; s/^COPY \(.*\) [^ ]*$/\1/p' Dockerfile)
for paths in "${copied[@]}"; do
  for path in $paths; do
    grep -qxF "!$path" .dockerignore || { echo "$path is not in .dockerignore" >&2; exit 1; }
    cp -r "$path" "$work/src"
  done
done
(cd "$work/src" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=check' -o "$work/rte-server" ./cmd/rte-server)
"$work/rte-server" version
if readelf --program-headers "$work/rte-server" | grep INTERP; then
  echo "the binary of the image is not static" >&2
  exit 1
fi

# The health check of the image works against the command of the image.
read -r -a health < <(sed -n 's/^HEALTHCHECK .* CMD \(\[.*\]\)$/\1/p' Dockerfile | jq --raw-output 'join(" ")')
read -r -a serve < <(sed -n 's/^CMD \(\[.*\]\)$/\1/p' Dockerfile | jq --raw-output 'join(" ")')
((${#health[@]} && ${#serve[@]})) || { echo "Dockerfile has no HEALTHCHECK, or no CMD" >&2; exit 1; }
export RTE_LISTEN=127.0.0.1:0 RTE_CONSOLE_LISTEN=127.0.0.1:$((20000 + RANDOM % 10000)) RTE_AUTH_HMAC_SECRET=0123456789abcdef0123456789abcdef
"$work/rte-server" "${serve[@]}" 2>"$work/image.log" &
image=$!
trap 'kill "$image" 2>/dev/null; rm -rf "$work"' EXIT
healthy() { "$work${health[0]}" "${health[@]:1}" >/dev/null 2>&1; }
for _ in {1..100}; do healthy && break; sleep 0.1; done # until it is up
healthy || { cat "$work/image.log" >&2; echo "the health check of the image fails" >&2; exit 1; }
kill "$image"
wait "$image" || true
if healthy; then
  echo "the health check of the image succeeds without a server" >&2
  exit 1
fi
unset RTE_LISTEN RTE_CONSOLE_LISTEN RTE_AUTH_HMAC_SECRET
trap 'rm -rf "$work"' EXIT

echo "== release"
RELEASE_VERSION=v0.0.0 RELEASE_PLATFORMS=linux-amd64 scripts/release.sh >/dev/null
(cd build/release && sha256sum --check --quiet SHA256SUMS)

echo "== haproxy.cfg"
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 1 \
  -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
cat "$work/cert.pem" "$work/key.pem" >"$work/rte.pem"
sed "s#/etc/haproxy/certs/rte.pem#$work/rte.pem#" deploy/haproxy.cfg >"$work/haproxy.cfg"
# The names of the nodes exist only in the network of the compose file.
haproxy -c -q -f "$work/haproxy.cfg" 2>&1 | grep -v -e NOTICE -e 'could not resolve address' || true
haproxy -c -q -f "$work/haproxy.cfg" 2>/dev/null

# The limits per address work: of ten requests, with a limit of three, the last get 429.
port=$((20000 + RANDOM % 10000))
sed "s#maxconn 50000#maxconn 100#; s#bind :8443#bind 127.0.0.1:$port#; s#sc0_http_req_rate gt 10000#sc0_http_req_rate gt 3#" \
  "$work/haproxy.cfg" >"$work/limits.cfg"
grep -q 'sc0_http_req_rate gt 3 ' "$work/limits.cfg" || { echo "haproxy.cfg has no limit of requests per address" >&2; exit 1; }
grep -q 'reject if { sc0_conn_cur gt' "$work/limits.cfg" || { echo "haproxy.cfg has no limit of connections per address" >&2; exit 1; }
haproxy -q -db -f "$work/limits.cfg" >/dev/null 2>&1 &
haproxy=$!
trap 'kill "$haproxy" 2>/dev/null; rm -rf "$work"' EXIT
ask() { curl --silent --insecure --output /dev/null --write-out '%{http_code}\n' "https://127.0.0.1:$port/"; }
for _ in {1..100}; do ask >/dev/null && break; sleep 0.1; done # until it is up
status=$(for _ in {1..10}; do ask || true; done | tail -1)
[ "$status" = 429 ] || { echo "haproxy.cfg answered $status to too many requests of one address" >&2; exit 1; }
kill "$haproxy"
trap 'rm -rf "$work"' EXIT

echo "== prometheus.yml"
mkdir -p "$work/secrets"
touch "$work/secrets/console_token"
sed "s#/run/secrets#$work/secrets#" deploy/prometheus.yml >"$work/prometheus.yml"
cp deploy/alerts.yaml "$work"
promtool check config "$work/prometheus.yml"

echo "== alerts.yaml"
promtool test rules deploy/alerts_test.yaml
mapfile -t alerts < <(sed -n 's/^ *- alert: //p' deploy/alerts.yaml)
for alert in "${alerts[@]}"; do
  for file in deploy/alerts_test.yaml deploy/runbook.md; do
    grep -q "$alert" "$file" || { echo "$alert is not in $file" >&2; exit 1; }
  done
done

while read -r anchor; do
  grep '^## ' deploy/runbook.md | tr '[:upper:]' '[:lower:]' | grep -qx "## $anchor" ||
    { echo "runbook.md has no section #$anchor" >&2; exit 1; }
done < <(sed -n 's/^ *runbook: runbook.md#//p' deploy/alerts.yaml)
[[ $(grep -c '^ *runbook: runbook.md#' deploy/alerts.yaml) -eq ${#alerts[@]} ]] || { echo "an alert has no runbook" >&2; exit 1; }

echo "== rte-server.service"
unit=deploy/systemd/rte-server.service
mkdir "$work/units"
sed "s#^ExecStart=/usr/local/bin/rte-server #ExecStart=$work/rte-server #" $unit >"$work/units/rte-server.service"
grep -q "^ExecStart=$work/rte-server " "$work/units/rte-server.service" || { echo "$unit starts another program" >&2; exit 1; }
systemd-analyze verify --man=no "$work/units/rte-server.service"
# The scale ends at 10, "unsafe"; the threshold is in tenths.
systemd-analyze security --no-pager --offline=true --threshold=20 "$work/units/rte-server.service" >"$work/security" ||
  { cat "$work/security" >&2; exit 1; }
# seconds prints the default of a duration, such as 1m45s, in seconds.
seconds() {
  "$work/rte-server" config doc | awk -F '|' -v key="\`$1\`" '
    $2 ~ key {
      text = $4
      minutes = match(text, /[0-9]+m/) ? substr(text, RSTART, RLENGTH - 1) : 0
      rest = match(text, /[0-9]+s/) ? substr(text, RSTART, RLENGTH - 1) : 0
      print minutes * 60 + rest
    }'
}
# systemd must not give up a start before the server has ended its wait.
waits=$(seconds startup.timeout)
starts=$(sed -n 's/^TimeoutStartSec=\([0-9]*\)s$/\1/p' $unit)
((waits > 0 && starts > waits)) || { echo "$unit: TimeoutStartSec=$starts, startup.timeout is $waits s" >&2; exit 1; }
# systemd must not end the server before the server gives up by itself.
gives_up=$(seconds shutdown.timeout)
ends=$(sed -n 's/^TimeoutStopSec=\([0-9]*\)s$/\1/p' $unit)
((gives_up > 0 && ends > gives_up)) || { echo "$unit: TimeoutStopSec=$ends, shutdown.timeout is $gives_up s" >&2; exit 1; }
