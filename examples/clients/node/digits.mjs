// What the two scripts share: the connection, the image, the request and the reading of an answer.

import { fileURLToPath } from "node:url";

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const PROTOS = fileURLToPath(new URL("../../../protos", import.meta.url));

// A handwritten two, 8 × 8 pixels from 0 (background) to 16, from the data that examples/digits holds back.
export const TWO = [
  [0, 0, 7, 16, 14, 3, 0, 0],
  [0, 0, 9, 14, 11, 15, 0, 0],
  [0, 0, 1, 5, 0, 15, 5, 0],
  [0, 0, 0, 0, 0, 16, 5, 0],
  [0, 0, 0, 0, 3, 16, 4, 0],
  [0, 0, 0, 1, 12, 14, 1, 0],
  [0, 0, 5, 12, 16, 16, 14, 1],
  [0, 0, 8, 16, 14, 10, 13, 3],
];

/** A connection to a replica, with the protocol's methods on it. */
export function connect(target) {
  const definition = protoLoader.loadSync("inference/grpc_service.proto", {
    includeDirs: [PROTOS],
    longs: Number,
    oneofs: true,
  });
  const { inference } = grpc.loadPackageDefinition(definition);
  return new inference.GRPCInferenceService(target, grpc.credentials.createInsecure());
}

/** One image as a request: raw contents are little-endian, row by row. */
export function requestFor(model, image) {
  const pixels = image.flat();
  const raw = Buffer.alloc(pixels.length * 4);
  pixels.forEach((pixel, place) => raw.writeFloatLE(pixel, place * 4));
  return {
    modelName: model,
    inputs: [{ name: "image", datatype: "FP32", shape: [1, image.length, image[0].length] }],
    rawInputContents: [raw],
  };
}

/** The values of an output, read from the raw contents at its place. */
export function output(answer, name) {
  const place = answer.outputs.findIndex((tensor) => tensor.name === name);
  const raw = answer.rawOutputContents[place];
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const read = {
    INT64: (at) => Number(view.getBigInt64(at * 8, true)),
    FP32: (at) => view.getFloat32(at * 4, true),
  }[answer.outputs[place].datatype];
  const count = answer.outputs[place].shape.reduce((product, size) => product * size, 1);
  return Array.from({ length: count }, (_, at) => read(at));
}
