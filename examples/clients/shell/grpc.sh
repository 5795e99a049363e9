#!/bin/sh
# Classify a digit with buf over gRPC: grpc.sh [HOST:PORT] [MODEL[@ALIAS]]
#
# No .proto file is needed: the server describes itself by reflection.
exec buf curl --protocol grpc --http2-prior-knowledge --data @- \
  "http://${1:-127.0.0.1:8001}/inference.GRPCInferenceService/ModelInfer" <<JSON
{
  "modelName": "${2:-digits}",
  "inputs": [
    {
      "name": "image",
      "datatype": "FP32",
      "shape": [1, 8, 8],
      "contents": {
        "fp32Contents": [
          0, 0, 7, 16, 14, 3, 0, 0,
          0, 0, 9, 14, 11, 15, 0, 0,
          0, 0, 1, 5, 0, 15, 5, 0,
          0, 0, 0, 0, 0, 16, 5, 0,
          0, 0, 0, 0, 3, 16, 4, 0,
          0, 0, 0, 1, 12, 14, 1, 0,
          0, 0, 5, 12, 16, 16, 14, 1,
          0, 0, 8, 16, 14, 10, 13, 3
        ]
      }
    }
  ]
}
JSON
