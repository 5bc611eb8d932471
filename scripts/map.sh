#!/usr/bin/env bash
# Writes the import graph of our packages into docs/architecture.md, between the markers of "make map". internal/arch_test.go
# compares it with the sources.
set -euo pipefail
cd "$(dirname "$0")/.."

module=$(go list -m)
graph=$(go list -f '{{.ImportPath}}{{range .Imports}} {{.}}{{end}}' ./cmd/... ./internal/... |
	awk -v module="$module/" '
		function short(path) { sub("^" module "(internal/)?", "", path); return path }
		{
			row = short($1) ":"
			for (i = 2; i <= NF; i++) if (index($i, module) == 1) row = row " " short($i)
			print row
		}' | LC_ALL=C sort)

doc=docs/architecture.md
awk -v graph="$graph" '
	/^<!-- made by make map: end -->$/ { inside = 0 }
	!inside { print }
	/^<!-- made by make map: begin -->$/ { inside = 1; print "\n```text\n" graph "\n```\n" }' "$doc" >"$doc.new"
mv "$doc.new" "$doc"
