#!/bin/sh
# Puts the browser build of @microsoft/signalr where internal/demo embeds it. Needs npm; running it again changes
# nothing unless the version below has changed. The package names its licence without carrying the text, so the text
# (web/vendor/signalr.LICENSE) is kept by hand; the script stops if a new version names another one.
set -eu

version=10.0.11
licence=MIT
target=$(cd "$(dirname "$0")/.." && pwd)/internal/demo/web/vendor

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
npm pack --silent "@microsoft/signalr@$version" >/dev/null
tar -xzf "microsoft-signalr-$version.tgz"

if ! grep -q "\"license\": \"$licence\"" package/package.json; then
	echo "vendor-signalr: @microsoft/signalr $version is no longer under the $licence licence" >&2
	exit 1
fi

mkdir -p "$target"
{
	echo "/*! @microsoft/signalr $version, $licence licence: see signalr.LICENSE */"
	# The build names a source map that is not shipped here; browsers would ask for it in vain.
	sed '/^\/\/# sourceMappingURL=/d' package/dist/browser/signalr.min.js
} >"$target/signalr.min.js"
chmod 644 "$target/signalr.min.js"
