#!/usr/bin/env bash
# Generate the stubs and build the example, with Debian's packages alone: build.sh OUT makes OUT/classify.
set -euo pipefail
out=$(mkdir -p "${1:-build}" && realpath "${1:-build}")
here=$(realpath "$(dirname "$0")")
jars=/usr/share/java
classpath=$(printf "%s:" "$jars"/grpc-{api,context,core,netty,protobuf,protobuf-lite,stub}.jar \
  "$jars"/netty-{buffer,codec,codec-http,codec-http2,common,handler,handler-proxy,resolver,transport}.jar \
  "$jars"/{protobuf,perfmark-api,guava,geronimo-annotation-1.3-spec}.jar)
mkdir -p "$out/stubs" "$out/classes"
protoc -I "$here/../../../protos" --java_out="$out/stubs" --grpc_out="$out/stubs" \
  --plugin=protoc-gen-grpc="$(command -v grpc_java_plugin)" \
  inference/grpc_service.proto inference/model_config.proto
javac -d "$out/classes" -classpath "$classpath" "$out"/stubs/inference/*.java "$here/Classify.java"
cat >"$out/classify" <<SHELL
#!/bin/sh
exec java -classpath "$out/classes:$classpath" Classify "\$@"
SHELL
chmod +x "$out/classify"
