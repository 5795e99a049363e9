#!/usr/bin/env bash
# Install the foreign clients and tools that `make e2e` tries: install_clients.sh VENV
#
# What cannot be installed here is told and left out; its tests skip themselves with the reason.
set -uo pipefail
venv=${1:-.venv}
root=$(dirname "$0")/..
clients=$venv/clients
kserve=0.21.0
# onnxmltools imports packaging and does not name it.
# Of `headrace batch --ray`, into the environment of the tests.
ray=("ray[data]==2.60.0")
converters=(scikit-learn==1.9.1 skl2onnx==1.20.0 onnxmltools==1.16.0 lightgbm==4.7.0 packaging)

langchain=(langchain-openai==1.7.4)
# Both want the official client before its third version.
llama_index=(llama-index-llms-openai-like==0.8.1 instructor==1.17.0)
cohere=(cohere==7.3.1)
openai_node=6.49.0
# What walks through the console: Chromium is Debian's.
console=(playwright-core@1.65.1 axe-core@4.14.1)

compilers=(protobuf-compiler pkg-config cmake g++ curl)
cpp=(libgrpc++-dev protobuf-compiler-grpc)
go=(golang-go golang-google-grpc-dev protoc-gen-go-1-3)
java=(openjdk-17-jdk-headless protobuf-compiler-grpc-java-plugin libgrpc-java libprotobuf-java
  libnetty-java libguava-java libperfmark-java libgeronimo-annotation-1.3-spec-java)

proxy=(haproxy openssl)
browser=(chromium)
monitoring=(prometheus)

leave_out() {
  echo "left out: $1" >&2
}

debian_packages() {
  local wanted=("${compilers[@]}" "${cpp[@]}" "${go[@]}" "${java[@]}" "${proxy[@]}" "${browser[@]}" "${monitoring[@]}") missing=()
  command -v node >/dev/null || wanted+=(nodejs npm)
  for package in "${wanted[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "install ok installed" ||
      missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ]; then
    echo "as root: apt-get install ${missing[*]}" >&2
    return 1
  fi
  echo "Installing Debian packages: ${missing[*]}"
  apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

node_packages() {
  [ -d "$root/examples/clients/node/node_modules" ] && return
  echo "Installing the packages of examples/clients/node"
  npm install --prefix "$root/examples/clients/node" --silent --no-audit --no-fund --no-package-lock
}

# An environment of its own: KServe brings 40 packages, and stubs that clash with tritonclient's.
kserve_environment() {
  [ -e "$clients/kserve/.$kserve" ] && return
  echo "Installing KServe $kserve into $clients/kserve"
  "$venv/bin/python" -m venv "$clients/kserve" &&
    "$clients/kserve/bin/python" -m pip install --quiet --disable-pip-version-check "kserve==$kserve" &&
    touch "$clients/kserve/.$kserve"
}

# An environment of its own: what converts models wants other versions of what serves them.
converter_environment() {
  [ -e "$clients/converters/.installed" ] && return
  echo "Installing converters into $clients/converters"
  "$venv/bin/python" -m venv "$clients/converters" &&
    "$clients/converters/bin/python" -m pip install --quiet --disable-pip-version-check "${converters[@]}" &&
    touch "$clients/converters/.installed"
}

ray_package() {
  "$venv/bin/python" -c "import ray" 2>/dev/null ||
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${ray[@]}"
}

# NAME PACKAGE...: what talks to OpenAI's API, in an environment of its own.
openai_environment() {
  local name=$1
  shift
  [ "$(cat "$clients/$name/.installed" 2>/dev/null)" = "$*" ] && return
  echo "Installing $* into $clients/$name"
  "$venv/bin/python" -m venv "$clients/$name" &&
    "$clients/$name/bin/python" -m pip install --quiet --disable-pip-version-check "$@" &&
    echo "$*" >"$clients/$name/.installed"
}

openai_node_packages() {
  local folder=$clients/openai_node
  [ -e "$folder/node_modules/.$openai_node" ] && return
  echo "Installing openai $openai_node for Node into $folder"
  mkdir -p "$folder" && echo '{"private": true}' >"$folder/package.json" &&
    npm install --prefix "$folder" --silent --no-audit --no-fund --no-package-lock "openai@$openai_node" &&
    touch "$folder/node_modules/.$openai_node"
}

console_packages() {
  local folder=$clients/console
  [ "$(cat "$folder/.installed" 2>/dev/null)" = "${console[*]}" ] && return
  echo "Installing ${console[*]} into $folder"
  mkdir -p "$folder" && echo '{"private": true}' >"$folder/package.json" &&
    npm install --prefix "$folder" --silent --no-audit --no-fund --no-package-lock "${console[@]}" &&
    echo "${console[*]}" >"$folder/.installed"
}

if command -v apt-get >/dev/null; then
  debian_packages || leave_out "the clients in C++, Go and Java, the proxy, and Prometheus"
else
  leave_out "the clients in C++, Go and Java, the proxy, and Prometheus: they are taken from Debian's packages"
fi
if command -v npm >/dev/null; then
  node_packages || leave_out "the client in Node"
  openai_node_packages || leave_out "OpenAI's client in Node"
  console_packages || leave_out "Playwright, and the walk through the console"
else
  leave_out "the clients in Node: npm is not installed"
fi
converter_environment || leave_out "converters of scikit-learn and LightGBM"
ray_package || leave_out "Ray, and the batches on it"
openai_environment langchain "${langchain[@]}" || leave_out "LangChain"
openai_environment llama_index "${llama_index[@]}" || leave_out "LlamaIndex and instructor"
openai_environment cohere "${cohere[@]}" || leave_out "Cohere's client"
kserve_environment || leave_out "KServe's clients"
"$(dirname "$0")/install_perf_analyzer.sh" "$venv" || leave_out "perf_analyzer"
"$(dirname "$0")/install_helm.sh" "$venv" || leave_out "helm, and the checks of the chart"
