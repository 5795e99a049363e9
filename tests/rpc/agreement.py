"""What the fronts are asked for to compare them with bare ONNX Runtime: models, requests, answers.

A model takes x [rows, n] of one datatype. One kind keeps rows apart; the other has outputs with more rows
than it was given, fewer, none, and one without any dimension.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from typing import Any

import grpc
import numpy as np
import onnxruntime
from onnx import helper, numpy_helper

from headrace.datatypes import NUMPY_DTYPES, Datatype, encode_bytes_elements, to_wire
from headrace.inference import grpc_service_pb2 as pb
from headrace.state.records import Batching, ServingConfig, TensorSpec, WarmUp
from headrace_inference.domain.scheduling.requests import Array
from tests.conformance import http_wires
from tests.conformance.bare import _read, _value
from tests.rpc.rest_fixtures import Model, model

METHOD = "/inference.GRPCInferenceService/"
DELAY = 2000
"""Microseconds: long enough for requests that come together to share a run."""

CONFIGS = {
    "alone": Batching(),
    "batched": Batching(max_batch_size=8, max_queue_delay_microseconds=DELAY),
    "ordered": Batching(
        max_batch_size=8, max_queue_delay_microseconds=DELAY, preserve_ordering=True
    ),
    "filled": Batching(
        max_batch_size=8, max_queue_delay_microseconds=DELAY, allowed_batch_sizes=(4, 8)
    ),
}
KINDS = ("apart", "odd")
UNORDERED = (Datatype.FP16, Datatype.BF16, Datatype.BOOL, Datatype.BYTES)
"""Those that have no classes."""

NOT_IN_JSON = (Datatype.FP16, Datatype.BF16)


def models(datatypes: Sequence[Datatype]) -> list[Model]:
    """One of each kind for each datatype and config."""
    return [
        _configured(_apart(datatype) if kind == "apart" else _odd(datatype), kind, config)
        for datatype in datatypes
        for kind in KINDS
        for config in CONFIGS
    ]


def name_of(kind: str, datatype: Datatype, config: str) -> str:
    """What a model is called."""
    return f"{kind}-{datatype}-{config}"


def _configured(made: Model, kind: str, config: str) -> Model:
    name = name_of(kind, made.record.signature.inputs[0].datatype, config)
    serving = ServingConfig(
        batching=CONFIGS[config], warm_up=WarmUp(runs=0), instances=1 + (config == "ordered")
    )
    return replace(made, record=replace(made.record, model=name, config=serving))


def _spec(name: str, datatype: Datatype) -> TensorSpec:
    return TensorSpec(name, datatype, (-1, -1))


def _apart(datatype: Datatype) -> Model:
    nodes = [
        helper.make_node("Identity", ["x"], ["y"]),
        helper.make_node("Concat", ["x", "x"], ["twice"], axis=1),
    ]
    outputs = [_spec(name, datatype) for name in ("y", "twice")]
    return model("m", nodes, [_spec("x", datatype)], outputs)


def _odd(datatype: Datatype) -> Model:
    def constant(name: str, value: int) -> Any:
        tensor = numpy_helper.from_array(np.array([value], np.int64), name)
        return helper.make_node("Constant", [], [name], value=tensor)

    nodes = [
        *(constant(name, value) for name, value in (("zero", 0), ("one", 1))),
        helper.make_node("Concat", ["x", "x"], ["more"], axis=0),
        helper.make_node("Slice", ["x", "zero", "one", "zero"], ["fewer"]),
        helper.make_node("Slice", ["x", "zero", "zero", "zero"], ["none"]),
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("ReduceProd", ["shape"], ["size"], keepdims=0),
    ]
    outputs = [_spec(name, datatype) for name in ("more", "fewer", "none")]
    outputs.append(TensorSpec("size", Datatype.INT64, ()))
    return model("m", nodes, [_spec("x", datatype)], outputs)


@dataclass(frozen=True)
class Ask:
    """A request: its rows, the outputs asked for (none: all), and of how many best classes each."""

    x: Array
    outputs: tuple[str, ...] = ()
    classes: int = 0

    def message(self, name: str, datatype: Datatype) -> Any:
        """As protobuf has it."""
        request = pb.ModelInferRequest(model_name=name, id=str(len(self.x)))
        request.inputs.add(name="x", datatype=datatype.value, shape=self.x.shape)
        request.raw_input_contents.append(to_wire(self.x))
        for output in self.outputs:
            wanted = request.outputs.add(name=output)
            if self.classes:
                wanted.parameters["classification"].int64_param = self.classes
        return request

    def body(self, datatype: Datatype, *, binary: bool) -> http_wires.Body:
        """As REST has it."""
        raw = to_wire(self.x)
        tensor: dict[str, Any] = {"name": "x", "datatype": datatype, "shape": self.x.shape}
        if binary:
            tensor["parameters"] = {"binary_data_size": len(raw)}
        else:
            tensor["data"] = [_json(value) for value in self.x.ravel().tolist()]
        document = {"inputs": [tensor], "parameters": {"binary_data_output": binary}}
        if self.outputs:
            parameters = {"classification": self.classes} if self.classes else {}
            document["outputs"] = [
                {"name": name, "parameters": parameters | {"binary_data": binary}}
                for name in self.outputs
            ]
        head = json.dumps(document).encode()
        if not binary:
            return http_wires.Body(head, {})
        return http_wires.Body(head + raw, {http_wires.HEADER_LENGTH: str(len(head))})


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


Answered = list[tuple[str, str, tuple[int, ...], bytes]]
"""Of each output its name, datatype, shape and bytes."""


class Reference:
    """A model in bare ONNX Runtime."""

    def __init__(self, served: Model) -> None:
        self._record = served.record
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        graph = served.graph.SerializeToString()
        self._session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )

    def answer(self, ask: Ask) -> Answered:
        """What a request gives alone."""
        specs = {spec.name: spec for spec in self._record.signature.outputs}
        names = list(ask.outputs or specs)
        if self._record.signature.inputs[0].datatype is Datatype.BF16:
            values = self._session.run_with_ort_values(names, {"x": _value(ask.x)})
            arrays = [_read(value) for value in values]
        else:
            x = ask.x
            texts = (
                np.array([text.decode() for text in x.ravel()], np.object_).reshape(x.shape)
                if (x.dtype.hasobject)
                else x
            )
            arrays = self._session.run(names, {"x": texts})
        return [
            self._shown(name, specs[name].datatype, array, ask.classes)
            for name, array in zip(names, arrays, strict=True)
        ]

    def _shown(
        self, name: str, datatype: Datatype, array: Array, classes: int
    ) -> tuple[str, str, tuple[int, ...], bytes]:
        if not classes:
            return name, datatype.value, array.shape, to_wire(array)
        batches = self._record.config.batching.max_batch_size > 0 and array.ndim > 0
        items = [row.ravel() for row in array] if batches else [array.ravel()]
        best = [_best(item.tolist(), classes) for item in items]
        size = math.prod(array.shape[1:]) if batches else array.size
        shape = (len(best), min(classes, size)) if batches else (min(classes, size),)
        texts = np.array([text for row in best for text in row], np.object_)
        return name, "BYTES", shape, encode_bytes_elements(texts)


def _best(values: Sequence[Any], count: int) -> list[bytes]:
    def rank(place: int) -> tuple[bool, Any, int]:
        value = values[place]
        isnan = isinstance(value, float) and math.isnan(value)
        return isnan, 0 if isnan else -value, place

    places = sorted(range(len(values)), key=rank)[:count]
    form = "%f:%d" if values and isinstance(values[0], float) else "%d:%d"
    return [(form % (values[place], place)).encode() for place in places]


class Wires:
    """Every way into a replica. Each sends requests side by side and gives their answers."""

    def __init__(
        self, channel: grpc.Channel, http_address: str, threads: ThreadPoolExecutor
    ) -> None:
        self._unary = channel.unary_unary(f"{METHOD}ModelInfer", _bytes_of, _answer_of)
        self._stream = channel.stream_stream(
            f"{METHOD}ModelStreamInfer", _bytes_of, pb.ModelStreamInferResponse.FromString
        )
        self._http_address = http_address
        self._threads = threads

    def unary(self, name: str, datatype: Datatype, asks: Sequence[Ask]) -> list[Answered]:
        """By calls of their own."""
        calls = [self._unary.future(ask.message(name, datatype), timeout=30) for ask in asks]
        return [_answered(call.result()) for call in calls]

    def stream(self, name: str, datatype: Datatype, asks: Sequence[Ask]) -> list[Answered]:
        """On one stream."""
        messages = [ask.message(name, datatype) for ask in asks]
        answers = []
        for answer in self._stream(iter(messages), timeout=30):
            assert "" == answer.error_message
            answers.append(_answered(answer.infer_response))
        return answers

    def rest(
        self, name: str, datatype: Datatype, asks: Sequence[Ask], *, binary: bool
    ) -> list[Answered]:
        """By POST, each on a connection of its own."""

        def post(ask: Ask) -> Answered:
            body = ask.body(datatype, binary=binary)
            connection = HTTPConnection(self._http_address, timeout=30)
            connection.request("POST", f"/v2/models/{name}/infer", body.content, body.headers)
            response = connection.getresponse()
            content, length = response.read(), response.headers[http_wires.HEADER_LENGTH]
            connection.close()
            assert 200 == response.status, content
            return _from_rest(content, len(content) if length is None else int(length))

        return list(self._threads.map(post, asks))


@contextmanager
def open_wires(grpc_address: str, http_address: str) -> Iterator[Wires]:
    """The ways into a replica, while inside."""
    with ThreadPoolExecutor(8) as threads, grpc.insecure_channel(grpc_address) as channel:
        yield Wires(channel, http_address, threads)


def _bytes_of(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data


def _answer_of(data: bytes) -> Any:
    return pb.ModelInferResponse.FromString(data)


def _answered(message: Any) -> Answered:
    return [
        (output.name, output.datatype, tuple(output.shape), raw)
        for output, raw in zip(message.outputs, message.raw_output_contents, strict=True)
    ]


def _from_rest(body: bytes, end: int) -> Answered:
    answered = []
    for output in json.loads(body[:end])["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            raw = _raw_of(output)
        else:
            raw, end = body[end : end + size], end + size
        answered.append((output["name"], output["datatype"], tuple(output["shape"]), raw))
    return answered


def _raw_of(output: dict[str, Any]) -> bytes:
    datatype = Datatype(output["datatype"])
    if datatype is Datatype.BYTES:
        return encode_bytes_elements(np.array(output["data"], np.object_))
    numbers = [float(value) if isinstance(value, str) else value for value in output["data"]]
    if datatype in (Datatype.FP32, Datatype.FP64):
        return np.array(numbers, np.float64).astype(NUMPY_DTYPES[datatype]).tobytes()
    return np.array(numbers, NUMPY_DTYPES[datatype]).tobytes()
