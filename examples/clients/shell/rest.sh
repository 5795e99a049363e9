#!/bin/sh
# Classify a digit with curl over the protocol's REST form: rest.sh [HOST:PORT] [MODEL[@ALIAS]]
exec curl --silent --show-error --fail-with-body --max-time 5 \
  --json "@$(dirname "$0")/image.json" \
  "http://${1:-127.0.0.1:8000}/v2/models/${2:-digits}/infer"
