#!/usr/bin/env bash
# Updates the picture of the wallboard in the README.
set -euo pipefail
cd "$(dirname "$0")/.."

address=127.0.0.1:18080
bin/rte-server dev --listen "$address" --console.listen '' &
server=$!
trap 'kill "$server"' EXIT

until curl --silent --fail --output /dev/null "http://$address/"; do
  kill -0 "$server"
done
cd test/e2e
node node/browser.mjs "$(command -v chromium)" "http://$address/" ../../docs/images/wallboard.png
