#!/usr/bin/env bash
# Generate the stubs and build the example, with Debian's packages alone: build.sh OUT makes OUT/classify.
set -euo pipefail
out=$(mkdir -p "${1:-build}" && realpath "${1:-build}")
here=$(realpath "$(dirname "$0")")
mkdir -p "$out/src"
protoc -I "$here/../../../protos" --go_out="plugins=grpc:$out/src" \
  inference/grpc_service.proto inference/model_config.proto
cd "$here"
# Debian's Go libraries are sources in a GOPATH, so the stubs lie in another one beside them.
GO111MODULE=off GOPATH="$out:/usr/share/gocode" GOCACHE="${GOCACHE:-$out/cache}" \
  go build -o "$out/classify" .
