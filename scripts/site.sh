#!/usr/bin/env bash
# Builds the documentation as a site without a connection to elsewhere, with its search: build/site/html/index.html.
# The pages are the Markdown files of the repository as they are. A broken link ends the build.
set -euo pipefail
cd "$(dirname "$0")/.."

requirements=docs/site/requirements.txt
if [[ ! build/site/venv/requirements.txt -nt $requirements ]]; then
  python3 -m venv --clear build/site/venv
  build/site/venv/bin/pip install --quiet --disable-pip-version-check --requirement $requirements
  cp $requirements build/site/venv
fi

# The pages, and the files to which they link.
pages=build/site/pages
rm -rf $pages build/site/html
git ls-files -z --cached --others --exclude-standard -- \
  '*.md' docs api deploy examples internal/events/catalog.yaml internal/authz/policy.yaml LICENSE Makefile |
  while IFS= read -r -d '' file; do
    case $file in internal/*.md | docs/site/* | */package-lock.json | */index.html | *.go | */go.mod) continue ;; esac
    mkdir -p "$pages/$(dirname "$file")"
    cp "$file" "$pages/$file"
  done

NO_MKDOCS_2_WARNING=1 build/site/venv/bin/mkdocs build --strict --config-file docs/site/mkdocs.yml >build/site/log 2>&1 || {
  grep -v '^INFO' build/site/log >&2
  exit 1
}
echo "build/site/html/index.html"
