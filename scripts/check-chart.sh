#!/usr/bin/env bash
# Checks the Helm chart: lint, manifests against the schemas of Kubernetes, and its configuration and probes against the program.
set -euo pipefail
cd "$(dirname "$0")/.."

kubernetes=1.34
chart=deploy/helm/rte-server
helm=build/helm
work=$(mktemp -d)
trap '[[ -z ${node:-} ]] || kill "$node" 2>/dev/null || true; rm -rf "$work"' EXIT

if [[ ! $helm -nt tools/helm/go.sum ]]; then
  (cd tools/helm && go build -o ../../$helm helm.sh/helm/v3/cmd/helm)
fi
requirements=tools/helm/requirements.txt
if [[ ! build/kubernetes-validate/requirements.txt -nt $requirements ]]; then
  python3 -m venv --clear build/kubernetes-validate
  build/kubernetes-validate/bin/pip install --quiet --requirement $requirements
  cp $requirements build/kubernetes-validate
fi

# render VALUES... prints the manifests.
render() { "$helm" template rte "$chart" --kube-version "$kubernetes.0" "$@" 2>"$work/warnings" || { cat "$work/warnings" >&2; return 1; }; }

# must_fail WORD ARGUMENT... requires that the chart refuses values with an error that names the word.
must_fail() {
  local word=$1
  shift
  if "$helm" template rte "$chart" --kube-version "$kubernetes.0" "$@" >/dev/null 2>"$work/error"; then
    echo "the chart accepts $*" >&2
    exit 1
  fi
  grep -q -- "$word" "$work/error" || { cat "$work/error" >&2; exit 1; }
}

for values in "" "$chart/ci/production-values.yaml"; do
  arguments=(${values:+--values "$values"})
  echo "== chart ${values:-with default values}"
  "$helm" lint --strict --quiet "$chart" --kube-version "$kubernetes.0" "${arguments[@]}" 2>/dev/null
  render "${arguments[@]}" >"$work/manifests.yaml"
  build/kubernetes-validate/bin/kubernetes-validate --kubernetes-version "$kubernetes" --strict --quiet "$work/manifests.yaml" >"$work/report" 2>&1 ||
    { cat "$work/report" >&2; exit 1; }
  # The configuration in the ConfigMap has to be one that the program accepts.
  render "${arguments[@]}" --show-only templates/configmap.yaml | sed -n '/rte.yaml: |/,$ s/^    //p' >"$work/rte.yaml"
  sed -i "s#/etc/rte-tls/ca.crt#$work/ca.crt#" "$work/rte.yaml"
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=redis -days 1 -keyout "$work/ca.key" -out "$work/ca.crt" 2>/dev/null
  RTE_AUTH_HMAC_SECRET=$(openssl rand -hex 32) RTE_CONNECTION_SECRET=$(openssl rand -hex 32) RTE_CONSOLE_TOKEN=$(openssl rand -hex 32) \
    bin/rte-server config check --config "$work/rte.yaml" >/dev/null
  [[ -n $values ]] || cp "$work/rte.yaml" "$work/default.yaml"
done

echo "== what the chart refuses"
must_fail shutdown.timeout --set shutdown.timeout=10
must_fail config.auth --set config.auth.hmac_secret=written-into-a-configmap
must_fail limits.memory --set resources.limits.memory=1G
must_fail replica --set replica=3

echo "== the probes of the chart, against the program"
RTE_AUTH_HMAC_SECRET=$(openssl rand -hex 32) RTE_CONSOLE_TOKEN=$(openssl rand -hex 32) \
  bin/rte-server serve --config "$work/default.yaml" --redis.addresses= --listen 127.0.0.1:0 --console.listen 127.0.0.1:0 2>"$work/log" &
node=$!
for _ in $(seq 100); do
  port=$(jq --raw-output 'select(.msg == "listening for operators") | .address | sub(".*:"; "")' "$work/log" 2>/dev/null) || true
  [[ -z $port ]] || break
  kill -0 "$node" 2>/dev/null || break
  sleep 0.1
done
[[ -n $port ]] || { cat "$work/log" >&2; exit 1; }
mapfile -t paths < <(render | grep -oE 'path: /[a-z]+, port: operators' | sed 's/path: //; s/,.*//' | sort -u)
[[ ${#paths[@]} -ge 2 ]] || { echo "the chart has no probes" >&2; exit 1; }
for path in "${paths[@]}"; do
  curl --silent --show-error --fail --retry 20 --retry-delay 1 --output /dev/null "http://127.0.0.1:$port$path"
done
