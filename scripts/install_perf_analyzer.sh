#!/usr/bin/env bash
# Put Triton's perf_analyzer and what it loads into a folder: VENV/perf_analyzer/perf_analyzer runs it.
set -euo pipefail
venv=${1:-.venv}
folder=$venv/perf_analyzer
# The last tritonclient whose perf_analyzer runs on glibc 2.36 (Debian 12); PyPI's package of the tool's
# own name is a placeholder.
release=2.51.0
stamp=$folder/.release-$release

[ "$(uname -sm)" = "Linux x86_64" ] || {
  echo "perf_analyzer is published for Linux on x86_64 only" >&2
  exit 1
}
if ! ldconfig -p | grep -q 'libb64\.so\.0d'; then
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "perf_analyzer needs libb64.so.0d; as root: apt-get install libb64-0d" >&2
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends libb64-0d >/dev/null
fi
[ ! -e "$stamp" ] || exit 0

echo "Installing perf_analyzer into $folder"
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
download=("$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps
  --dest "$wheels")
"${download[@]}" --only-binary :all: --platform manylinux1_x86_64 "tritonclient==$release"
# The tool is linked with the CUDA runtime, which runs without a GPU.
"${download[@]}" nvidia-cuda-runtime-cu12==12.9.79
mkdir -p "$folder/lib"
"$venv/bin/python" - "$wheels" "$folder" <<'PYTHON'
import shutil
import sys
import zipfile
from pathlib import Path

wheels, folder = map(Path, sys.argv[1:])
wanted = {"data/bin/perf_analyzer": "perf_analyzer.bin", "lib/libcudart.so.12": "lib/libcudart.so.12"}
for wheel in wheels.glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            for end, target in wanted.items():
                if name.endswith(end):
                    with archive.open(name) as packed, (folder / target).open("wb") as unpacked:
                        shutil.copyfileobj(packed, unpacked)
PYTHON
cat >"$folder/perf_analyzer" <<'SHELL'
#!/bin/sh
# perf_analyzer with the CUDA runtime that lies beside it.
here=$(dirname "$(readlink -f "$0")")
LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$here/perf_analyzer.bin" "$@"
SHELL
chmod +x "$folder/perf_analyzer" "$folder/perf_analyzer.bin"
touch "$stamp"
