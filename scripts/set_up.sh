#!/usr/bin/env bash
# Make a virtual environment with Headrace, editable, and everything that its checks and tests need.
set -euo pipefail
python=$1
venv=$2
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Headrace needs Python 3.11 or later; call: make PYTHON=/path/to/python3.11 setup" >&2
  exit 1
}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "Installing Headrace and its tools into $venv (a few minutes the first time)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
