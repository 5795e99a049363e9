// Calls ModelInfer from a browser over gRPC-Web, through a Headrace gateway. No packages, no build step: the few
// fields of the protocol's messages that a call needs are written and read here.

const METHOD = "/inference.GRPCInferenceService/ModelInfer";
const ARRAYS = { FP32: Float32Array, FP64: Float64Array, INT32: Int32Array, INT64: BigInt64Array, UINT8: Uint8Array };
const VARINT = 0, BYTES = 2;

// Runs a model: inputs and outputs are {name: {datatype, shape, data}}. Throws an Error with `code`, gRPC's number.
export async function infer(gateway, model, inputs, { token, signal } = {}) {
  const headers = { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" };
  if (token) headers.authorization = `Bearer ${token}`;
  const body = framed(inferRequest(model, inputs));
  const answer = await fetch(gateway + METHOD, { method: "POST", headers, body, signal });
  const { message, trailers } = unframed(new Uint8Array(await answer.arrayBuffer()));
  // A call that fails before there is a message has its status among the headers.
  const status = trailers.get("grpc-status") ?? answer.headers.get("grpc-status") ?? "2";
  if (status !== "0") {
    const text = trailers.get("grpc-message") ?? answer.headers.get("grpc-message") ?? `HTTP ${answer.status}`;
    throw Object.assign(new Error(decodeURIComponent(text)), { code: Number(status) });
  }
  return inferResponse(message);
}

function inferRequest(model, inputs) {
  const tensors = Object.entries(inputs);
  return joined([
    field(1, text(model)),
    ...tensors.map(([name, tensor]) => field(5, joined([
      field(1, text(name)), field(2, text(tensor.datatype)), field(3, joined(tensor.shape.map(varint))),
    ]))),
    ...tensors.map(([, { datatype, data }]) => field(7, bytesOf(ARRAYS[datatype].from(data)))),
  ]);
}

function inferResponse(message) {
  const fields = [...read(message)];
  const raw = fields.filter(([number]) => number === 6).map(([, value]) => value);
  const outputs = {};
  fields.filter(([number]) => number === 5).forEach(([, value], place) => {
    const parts = [...read(value)];
    const one = (number) => parts.find(([found]) => found === number)?.[1];
    const datatype = string(one(2));
    const shape = parts.filter(([number]) => number === 3).flatMap(([, dims]) => numbers(dims));
    // A copy, so that it begins where elements of any size may begin.
    outputs[string(one(1))] = { datatype, shape, data: new ARRAYS[datatype](raw[place].slice().buffer) };
  });
  return outputs;
}

// gRPC-Web: each frame has a flag (128: trailers, as text) and its length in four bytes.
function framed(message) {
  const frame = new Uint8Array(5 + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, 5);
  return frame;
}

function unframed(bytes) {
  let message = new Uint8Array(), trailers = new Headers();
  for (let at = 0; at + 5 <= bytes.length;) {
    const length = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(1);
    const content = bytes.subarray(at + 5, at + 5 + length);
    if (bytes[at] & 128) {
      for (const line of string(content).split("\r\n").filter(Boolean)) {
        const colon = line.indexOf(":");
        trailers.append(line.slice(0, colon), line.slice(colon + 1).trim());
      }
    } else message = content;
    at += 5 + length;
  }
  return { message, trailers };
}

// Protocol buffers.
const text = (value) => new TextEncoder().encode(value);
const string = (bytes) => new TextDecoder().decode(bytes ?? new Uint8Array());
const bytesOf = (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const field = (number, content) => joined([varint((number << 3) | BYTES), varint(content.length), content]);

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}

function varint(value) {
  const bytes = [];
  for (let rest = BigInt(value); ; rest >>= 7n) {
    if (rest < 128n) { bytes.push(Number(rest)); return Uint8Array.from(bytes); }
    bytes.push(Number(rest & 127n) | 128);
  }
}

function readVarint(bytes, at) {
  let value = 0n;
  for (let shift = 0n; ; shift += 7n) {
    const byte = bytes[at++];
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return [value, at];
  }
}

function* read(bytes) {
  for (let at = 0; at < bytes.length;) {
    let tag, value;
    [tag, at] = readVarint(bytes, at);
    [value, at] = readVarint(bytes, at);
    const number = Number(tag >> 3n), kind = Number(tag & 7n);
    if (kind === BYTES) { yield [number, bytes.subarray(at, at + Number(value))]; at += Number(value); }
    else if (kind === VARINT) yield [number, varint(value)];
    else throw new Error(`a field of kind ${kind}, which these messages do not have`);
  }
}

function numbers(bytes) {
  const found = [];
  for (let at = 0, value; at < bytes.length;) { [value, at] = readVarint(bytes, at); found.push(Number(value)); }
  return found;
}
