#!/usr/bin/env bash
# Make a virtual environment with Headrace, editable, and everything that its checks and tests need.
set -euo pipefail
python=$1
venv=$2
extras=${3:-dev}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Headrace needs Python 3.11 or later; call: make PYTHON=/path/to/python3.11 setup" >&2
  exit 1
}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "Installing Headrace and its tools into $venv (a few minutes the first time)"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }
# The builds of ONNX Runtime overwrite each other's files: the one that is not wanted goes first, with the other.
if [[ ,$extras, != *,gpu,* ]] && pip show --quiet onnxruntime-gpu 2>/dev/null; then
  pip uninstall --quiet --yes onnxruntime onnxruntime-gpu 2>/dev/null
fi
pip install --quiet --editable ".[$extras]"
if [[ ,$extras, == *,gpu,* ]]; then
  pip install --quiet --force-reinstall --no-deps onnxruntime-gpu
fi
