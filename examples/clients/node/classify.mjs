// Classify a digit over the Open Inference Protocol: the repository's .proto file, no generated code.
//
//   node classify.mjs [HOST:PORT] [MODEL[@ALIAS]]

import grpc from "@grpc/grpc-js";

import { TWO, connect, output, requestFor } from "./digits.mjs";

const DEADLINE_MS = 5000;
const [address = "127.0.0.1:8001", model = "digits"] = process.argv.slice(2);

/** One call of ModelInfer, as a promise. */
function infer(client, request) {
  const options = { deadline: Date.now() + DEADLINE_MS };
  return new Promise((resolve, reject) => {
    client.ModelInfer(request, options, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

const client = connect(address);
try {
  const answer = await infer(client, requestFor(model, TWO));
  const [label] = output(answer, "label");
  const probability = Math.max(...output(answer, "probabilities"));
  const route = answer.parameters["headrace.route"].stringParam;
  console.log(`digit ${label} (${(probability * 100).toFixed(1)} %)`);
  console.log(`${answer.modelName} version ${answer.modelVersion} (${route})`);
} catch (error) {
  console.error(`${grpc.status[error.code]}: ${error.details}`);
  process.exitCode = 1;
} finally {
  client.close();
}
