#!/bin/sh
# Downloads the browser build of @microsoft/signalr to the folder that internal/demo embeds. It needs npm, and changes
# nothing unless the version below changed. The package names its licence but does not contain the text, so we keep the
# text (web/vendor/signalr.LICENSE) by hand. The script stops if a new version names another licence.
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
	echo "vendor-signalr: @microsoft/signalr $version does not have the $licence licence" >&2
	exit 1
fi

mkdir -p "$target"
{
	echo "/*! @microsoft/signalr $version, $licence licence: see signalr.LICENSE */"
	# The build names a source map that we do not ship, so browsers would request it in vain.
	sed '/^\/\/# sourceMappingURL=/d' package/dist/browser/signalr.min.js
} >"$target/signalr.min.js"
chmod 644 "$target/signalr.min.js"
