#!/usr/bin/env bash
# Tests the program with the Autobahn test suite: autobahn.sh [FLAG OF GO TEST ...]
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON2:-python2.7}
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' 2>/dev/null; then
  echo "the suite needs Python 2.7: run PYTHON2=/path/to/python2.7 make autobahn" >&2
  exit 1
fi

suite=$PWD/build/autobahn
if [[ ! -x $suite/bin/wstest ]]; then
  # The last versions for Python 2.7.
  "$python" -m pip install --quiet --target "$suite/virtualenv" virtualenv==20.15.1
  PYTHONPATH=$suite/virtualenv "$python" -m virtualenv --quiet "$suite"
  "$suite/bin/pip" install --quiet autobahntestsuite==25.10.1
fi
go test -count=1 -run TestAutobahn "$@" ./test/clients/rfc6455 -args -wstest="$suite/bin/wstest"
