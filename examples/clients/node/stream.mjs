// Classify digits over one stream: requests go out without waiting, answers come back in their order.
//
//   node stream.mjs [HOST:PORT] [MODEL[@ALIAS]]...
//
// Each model named is asked once.

import grpc from "@grpc/grpc-js";

import { TWO, connect, output, requestFor } from "./digits.mjs";

const DEADLINE_MS = 5000;
const [address = "127.0.0.1:8001", ...names] = process.argv.slice(2);
const models = names.length ? names : ["digits", "digits"];

const client = connect(address);
const stream = client.ModelStreamInfer({ deadline: Date.now() + DEADLINE_MS });

stream.on("data", ({ errorMessage, inferResponse }) => {
  // An error is a text in the stream and leaves the stream open; the answer beside it has the request's id alone.
  if (errorMessage) {
    console.log(`${inferResponse.id}: ${errorMessage}`);
    return;
  }
  const [label] = output(inferResponse, "label");
  console.log(`${inferResponse.id}: digit ${label}, ${inferResponse.modelName} version ${inferResponse.modelVersion}`);
});
stream.on("error", (error) => {
  console.error(`${grpc.status[error.code]}: ${error.details}`);
  process.exitCode = 1;
});
stream.on("close", () => client.close());

models.forEach((model, place) => stream.write({ ...requestFor(model, TWO), id: `${place + 1}` }));
stream.end();
