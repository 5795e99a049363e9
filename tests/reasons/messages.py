"""Requests of inference that are refused, by the reason that they are told: over gRPC, and over REST."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headrace.inference import grpc_service_pb2 as pb

ECHO = "/v2/models/echo-FP32/infer"
HEADER_LENGTH = "Inference-Header-Content-Length"
RAW = np.zeros(2, np.float32).tobytes()


@dataclass(frozen=True, slots=True)
class Rest:
    """A POST."""

    body: bytes
    path: str = ECHO
    headers: Mapping[str, str] = field(default_factory=dict)


def asked(
    model: str = "echo-FP32", *inputs: Any, raw: Sequence[bytes] = (), model_version: str = ""
) -> Any:
    """A request with these inputs, or with the echo's."""
    message = pb.ModelInferRequest(model_name=model, model_version=model_version)
    for name, datatype, shape in inputs or (("x", "FP32", [2]),):
        message.inputs.add(name=name, datatype=datatype, shape=shape)
    message.raw_input_contents.extend(raw or ([RAW] if not inputs else []))
    return message


def typed(model: str, datatype: str, shape: Sequence[int], **contents: Any) -> Any:
    """A request with typed contents."""
    message = pb.ModelInferRequest(model_name=model)
    tensor = message.inputs.add(name="x", datatype=datatype, shape=shape)
    for name, values in contents.items():
        getattr(tensor.contents, name).extend(values)
    return message


def wanting(message: Any, *outputs: str, **parameters: Any) -> Any:
    """A request for these outputs, the last of them with these parameters."""
    for name in outputs:
        output = message.outputs.add(name=name)
    for name, value in parameters.items():
        kind = "string_param" if isinstance(value, str) else "int64_param"
        setattr(output.parameters[name], kind, value)
    return message


def with_parameter(name: str, **value: Any) -> Any:
    """A request with a parameter."""
    message = asked()
    for kind, content in value.items():
        setattr(message.parameters[name], kind, content)
    return message


def in_region(region: str = "r", size: int = 8, offset: int = 0) -> Any:
    """A request whose input lies in shared memory."""
    message = pb.ModelInferRequest(model_name="echo-FP32")
    tensor = message.inputs.add(name="x", datatype="FP32", shape=[2])
    tensor.parameters["shared_memory_region"].string_param = region
    tensor.parameters["shared_memory_byte_size"].int64_param = size
    tensor.parameters["shared_memory_offset"].int64_param = offset
    return message


def integers(model: str, value: int, shape: Sequence[int] = (1,)) -> Any:
    """A request of one INT64."""
    return asked(model, ("x", "INT64", shape), raw=[np.array([value], np.int64).tobytes()])


LARGE = np.zeros(1_000_001, np.float32)

CALLS: dict[str, Any] = {
    "BATCH_MISMATCH": asked(
        "arithmetic", ("a", "FP32", [2, 4]), ("b", "FP32", [3, 4]), raw=[bytes(32), bytes(48)]
    ),
    "BATCH_TOO_LARGE": asked(
        "arithmetic", ("a", "FP32", [9, 4]), ("b", "FP32", [9, 4]), raw=[bytes(144)] * 2
    ),
    "BYTES_COUNT_MISMATCH": asked("echo-BYTES", ("x", "BYTES", [2]), raw=[b"\1\0\0\0a"]),
    "BYTES_NOT_UTF8": asked("echo-BYTES", ("x", "BYTES", [1]), raw=[b"\1\0\0\0\xff"]),
    "BYTES_TRUNCATED": asked("echo-BYTES", ("x", "BYTES", [1]), raw=[b"\5\0\0\0a"]),
    "CLASSIFICATION_DATATYPE": wanting(
        asked("echo-BYTES", ("x", "BYTES", [1]), raw=[b"\1\0\0\0a"]), "y", classification=1
    ),
    "CLASSIFICATION_TOO_LARGE": wanting(
        asked("echo-FP32", ("x", "FP32", LARGE.shape), raw=[LARGE.tobytes()]), "y", classification=1
    ),
    "CONTENTS_COUNT_MISMATCH": typed("echo-FP32", "FP32", [2], fp32_contents=[1.0]),
    "CONTENTS_MISSING": typed("echo-FP32", "FP32", [2]),
    "CONTENTS_MIXED": typed("echo-FP32", "FP32", [1], fp32_contents=[1.0], fp64_contents=[1.0]),
    "CONTENTS_UNSUPPORTED": typed("echo-FP16", "FP16", [1], fp32_contents=[1.0]),
    "DATATYPE_MISMATCH": asked("echo-FP32", ("x", "FP64", [1]), raw=[bytes(8)]),
    "DATA_INVALID": typed("echo-INT8", "INT8", [1], int_contents=[300]),
    "INPUT_DUPLICATE": asked(
        "echo-FP32", ("x", "FP32", [1]), ("x", "FP32", [1]), raw=[bytes(4)] * 2
    ),
    "INPUT_MISSING": pb.ModelInferRequest(model_name="echo-FP32"),
    "INPUTS_REFUSED": integers("gathering", 99),
    "INPUT_UNKNOWN": asked("echo-FP32", ("z", "FP32", [1]), raw=[bytes(4)]),
    "OUTPUT_DUPLICATE": wanting(asked(), "y", "y"),
    "OUTPUT_UNKNOWN": wanting(asked(), "z"),
    "PARAMETER_INVALID": with_parameter("timeout", string_param="soon"),
    "PARAMETER_RESERVED": with_parameter("triton_x", bool_param=True),
    "RAW_COUNT_MISMATCH": asked("echo-FP32", ("x", "FP32", [1]), raw=[bytes(4)] * 2),
    "RAW_SIZE_MISMATCH": asked("echo-FP32", ("x", "FP32", [3]), raw=[bytes(4)]),
    "SHAPE_MISMATCH": asked("echo-FP32", ("x", "FP32", [1, 1]), raw=[bytes(4)]),
    "SHAPE_NEGATIVE": asked("echo-FP32", ("x", "FP32", [-1]), raw=[bytes(4)]),
    "SHAPE_TOO_LARGE": asked("echo-FP32", ("x", "FP32", [2**32]), raw=[bytes(4)]),
    "TOO_MANY_DIMENSIONS": asked("echo-FP32", ("x", "FP32", [1] * 65), raw=[bytes(4)]),
    "TOO_MANY_FIELDS": wanting(asked(), *["y"] * 17_000),
    "VERSION_AMBIGUOUS": asked("echo-FP32@champion", model_version="1"),
    "VERSION_INVALID": asked(model_version="-1"),
    "ALIAS_NOT_FOUND": asked(model_version="nope"),
    "MODEL_NOT_FOUND": asked("nobody"),
    "NO_VERSIONS": asked("empty"),
    "VERSION_NOT_FOUND": asked(model_version="77"),
    "VERSION_NOT_READY": asked(model_version="2"),
    "SHARED_MEMORY_DISABLED": in_region(),
    "RUN_FAILED": integers("undecodable", 1),
    "RUN_OUT_OF_MEMORY": integers("boundless", 2**50),
    "INTERNAL": integers("broken", 1),
}
"""By call, and by stream."""

MALFORMED = b"\xff\xff\xff"


def tensor(
    data: Any = (1, 2), shape: Sequence[int] = (2,), datatype: str = "FP32", name: str = "x"
) -> dict[str, Any]:
    """An input as JSON."""
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def rest(*tensors: Any, model: str = "echo-FP32", version: str = "", **members: Any) -> Rest:
    """A request with these inputs, or with the echo's."""
    body = json.dumps({"inputs": tensors or [tensor()]} | members).encode()
    where = f"/versions/{version}" if version else ""
    return Rest(body, f"/v2/models/{model}{where}/infer")


def binary(
    data: bytes, shape: Sequence[int], datatype: str, *, size: int | None = None, **members: Any
) -> Rest:
    """A request of one input behind the JSON."""
    parameters = {"binary_data_size": len(data) if size is None else size}
    one = {"name": "x", "datatype": datatype, "shape": shape, "parameters": parameters}
    text = json.dumps({"inputs": [one]} | members).encode()
    path = f"/v2/models/echo-{datatype}/infer"
    return Rest(text + data, path, {HEADER_LENGTH: str(len(text))})


def output(name: str = "y", **parameters: Any) -> dict[str, Any]:
    """An output as JSON."""
    return {"name": name, "parameters": parameters}


POSTS: dict[str, Rest] = {
    "BATCH_MISMATCH": rest(
        tensor([1] * 8, (2, 4), name="a"), tensor([1] * 12, (3, 4), name="b"), model="arithmetic"
    ),
    "BATCH_TOO_LARGE": rest(
        *[tensor([1] * 36, (9, 4), name=name) for name in "ab"], model="arithmetic"
    ),
    "BINARY_SIZE_MISMATCH": binary(RAW, [2], "FP32", size=7),
    "BODY_TOO_LARGE": Rest(bytes(9 * 2**20)),
    "BYTES_COUNT_MISMATCH": binary(b"\1\0\0\0a", [2], "BYTES"),
    "BYTES_NOT_UTF8": binary(b"\1\0\0\0\xff", [1], "BYTES"),
    "BYTES_TRUNCATED": binary(b"\5\0\0\0a", [1], "BYTES"),
    "CLASSIFICATION_DATATYPE": binary(
        b"\1\0\0\0a", [1], "BYTES", outputs=[output(classification=1)]
    ),
    "CLASSIFICATION_TOO_LARGE": binary(
        LARGE.tobytes(), LARGE.shape, "FP32", outputs=[output(classification=1)]
    ),
    "CONTENTS_MISSING": rest({"name": "x", "datatype": "FP32", "shape": [2]}),
    "CONTENTS_MIXED": rest(tensor() | {"parameters": {"binary_data_size": 8}}),
    "DATATYPE_MISMATCH": rest(tensor(datatype="FP64")),
    "DATATYPE_NOT_IN_JSON": rest(tensor(datatype="FP16"), model="echo-FP16"),
    "DATA_INVALID": rest(tensor(["a", "b"])),
    "ENCODING_UNSUPPORTED": Rest(b"{}", headers={"Content-Encoding": "br"}),
    "HEADER_LENGTH_INVALID": Rest(b"{}", headers={HEADER_LENGTH: "77"}),
    "HEADER_LENGTH_MISSING": Rest(binary(RAW, [2], "FP32").body[: -len(RAW)]),
    "INPUT_DUPLICATE": rest(tensor(), tensor()),
    "INPUT_MISSING": Rest(b"{}", "/v2/models/echo-FP32/generate"),
    "INPUTS_REFUSED": rest(tensor([99], (1,), "INT64"), model="gathering"),
    "INPUT_UNKNOWN": rest(tensor(name="z")),
    "MALFORMED_ENCODING": Rest(b"{}", headers={"Content-Encoding": "gzip"}),
    "MALFORMED_JSON": Rest(b"{"),
    "MALFORMED_REQUEST": Rest(b"{}"),
    "OUTPUT_DUPLICATE": rest(outputs=[output(), output()]),
    "OUTPUT_UNKNOWN": rest(outputs=[output("z")]),
    "PARAMETER_INVALID": rest(parameters={"timeout": "soon"}),
    "RAW_REQUEST_INVALID": Rest(
        bytes(8), "/v2/models/arithmetic/infer", headers={HEADER_LENGTH: "0"}
    ),
    "RAW_SIZE_MISMATCH": binary(RAW, [3], "FP32"),
    "SHAPE_MISMATCH": rest(tensor(shape=(2, 1))),
    "SHAPE_NEGATIVE": rest(tensor(shape=(-2,))),
    "SHAPE_TOO_LARGE": rest(tensor(shape=(2**32,))),
    "VERSION_AMBIGUOUS": rest(model="echo-FP32@champion", version="1"),
    "VERSION_INVALID": rest(version="-1"),
    "ALIAS_NOT_FOUND": rest(version="nope"),
    "MODEL_NOT_FOUND": rest(model="nobody"),
    "NO_VERSIONS": rest(model="empty"),
    "VERSION_NOT_FOUND": rest(version="77"),
    "VERSION_NOT_READY": rest(version="2"),
    "SHARED_MEMORY_DISABLED": rest(
        outputs=[output(shared_memory_region="r", shared_memory_byte_size=8)]
    ),
    "OUTPUT_NOT_UTF8": rest(
        tensor([[0.1, 0.9]], (1, 2)), model="labelled", outputs=[output(classification=1)]
    ),
    "RUN_FAILED": rest(tensor([1], (1,), "INT64"), model="undecodable"),
    "RUN_OUT_OF_MEMORY": rest(tensor([2**50], (1,), "INT64"), model="boundless"),
    "INTERNAL": rest(tensor([1], (1,), "INT64"), model="broken"),
}
"""Over REST."""
