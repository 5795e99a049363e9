"""The rows of `benchmarks.wires`: what is sent to a side in one turn, by which wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from onnx import TensorProto, helper

from benchmarks import load, models, raw_calls
from benchmarks.http_load import open_http_callers, run_http
from benchmarks.models import ENCODER, IDENTITY, MLP, RESNET50, GraphBuilder, Measured
from benchmarks.request_bodies import HttpRequest, binary_request, grpc_message, json_request
from benchmarks.sides import Side
from benchmarks.trace_switch import traced

STRINGS = 1_000
OUTPUTS = 64
CALLERS = 50
LEAST_TURNS = 8
"""How often at least every request in flight is answered and replaced, however slow the model."""

Measure = Callable[[Side, float, load.Load | None], load.Load]
"""One turn: a side, how many seconds, and the side's last turn."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: its models have to be served; `base` is the row that it is compared with."""

    name: str
    models: tuple[Measured, ...]
    measure: Measure
    base: str = ""
    beside_bare: tuple[Measured, int] | None = None
    optional: bool = False
    needs_http: bool = False
    of_headrace: bool = False


def string_identity() -> bytes:
    """A graph that answers its input: BYTES [batch, 1000]."""
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.STRING, ["batch", STRINGS]) for name in "xy"
    )
    graph = GraphBuilder()
    graph.node("Identity", "x", output="y")
    return graph.model([x], [y])


def many_outputs() -> bytes:
    """FP32 `x` [batch, 16] to 64 outputs [batch, 4]."""
    graph = GraphBuilder()
    weight = graph.weight(16, 4, scale=1)
    names = [f"y{number}" for number in range(OUTPUTS)]
    for name in names:
        graph.node("MatMul", "x", weight, output=name)
    outputs = [models.tensor(name, ["batch", 4]) for name in names]
    return graph.model([models.tensor("x", ["batch", 16])], outputs)


_TEXTS = np.array([[f"word {number * 7919 % 10007}".encode() for number in range(STRINGS)]], object)
TEXTS = Measured("strings", string_identity, "x", "BYTES", _TEXTS)
MANY_OUTPUTS = replace(MLP, name="outputs", graph=many_outputs)
REST_NEIGHBOUR = replace(MLP, name="mlp_beside")


def mlp_alone() -> bytes:
    """The MLP for one row at a time, so that requests share no run."""
    graph = GraphBuilder()
    hidden = graph.node("Relu", graph.node("MatMul", "x", graph.weight(16, 32, scale=1)))
    graph.node("MatMul", hidden, graph.weight(32, 4, scale=1), output="y")
    return graph.model([models.tensor("x", [1, 16])], [models.tensor("y", [1, 4])])


ALONE = replace(MLP, name="mlp_alone", graph=mlp_alone)


def numbered(count: int) -> tuple[Measured, ...]:
    """So many MLPs, of the same bytes, under names of their own."""
    return tuple(replace(MLP, name=f"mlp_{number}") for number in range(count))


def _requests(in_flight: int, seconds: float, pace: float) -> int:
    return max(in_flight * LEAST_TURNS, int(pace * seconds))


def grpc_calls(model: Measured, in_flight: int, rows: int = 1) -> Measure:
    """ModelInfer from h2load."""
    body = load.grpc_frame(grpc_message(model, rows))

    def measure(side: Side, seconds: float, last: load.Load | None) -> load.Load:
        pace = last.rate if last else load.run(side.grpc, body, in_flight, in_flight * 4 + 20).rate
        requests = _requests(in_flight, seconds, pace)
        return side.metered([model.name], lambda _: load.run(side.grpc, body, in_flight, requests))

    return measure


def http_calls(model: Measured, request: HttpRequest, in_flight: int) -> Measure:
    """POST over HTTP/1.1 from h2load, a connection for each in flight."""

    def measure(side: Side, seconds: float, last: load.Load | None) -> load.Load:
        pace = (
            last.rate if last else run_http(side.http, request, in_flight, in_flight * 4 + 20).rate
        )
        requests = _requests(in_flight, seconds, pace)
        return side.metered(
            [model.name], lambda _: run_http(side.http, request, in_flight, requests)
        )

    return measure


def stream_calls(model: Measured, in_flight: int) -> Measure:
    """ModelStreamInfer, a stream for each in flight."""
    message = grpc_message(model)

    def measure(side: Side, seconds: float, _: load.Load | None) -> load.Load:
        return side.metered(
            [model.name],
            lambda _: raw_calls.run_streams(side.grpc, message, in_flight, seconds),
        )

    return measure


def callers_of(chosen: Sequence[Measured]) -> Measure:
    """ModelInfer from 50 callers, each of a model of its own, or of several in turn if there are more."""
    names = [model.name for model in chosen]
    messages = [grpc_message(model) for model in chosen]
    turns = [messages[number % len(messages) :: CALLERS] for number in range(CALLERS)]

    def measure(side: Side, seconds: float, _: load.Load | None) -> load.Load:
        return side.metered(names, lambda _: raw_calls.run_unary(side.grpc, turns, seconds))

    return measure


def beside_http(in_flight: int, callers: int) -> Measure:
    """ModelInfer while so many callers send REST with JSON to another model; CPU is that of both."""
    body = load.grpc_frame(grpc_message(MLP))

    def measure(side: Side, seconds: float, last: load.Load | None) -> load.Load:
        with open_http_callers(side.http, json_request(REST_NEIGHBOUR), callers):
            pace = last.rate if last else load.run(side.grpc, body, in_flight, 200).rate
            requests = _requests(in_flight, seconds, pace)
            return side.metered(
                [MLP.name], lambda _: load.run(side.grpc, body, in_flight, requests)
            )

    return measure


def with_traces(measure: Measure) -> Measure:
    """The same while every request is traced."""

    def traced_measure(side: Side, seconds: float, last: load.Load | None) -> load.Load:
        with traced(side.grpc):
            return measure(side, seconds, last)

    return traced_measure


def rows() -> dict[str, Row]:
    """All rows by name, in the order of the table."""
    found = [
        *_rest_rows(),
        Row("beside-rest-8", (MLP, REST_NEIGHBOUR), beside_http(8, 8), "mlp-8", needs_http=True),
        *(Row(f"stream-{n}", (MLP,), stream_calls(MLP, n)) for n in (1, 16, 64)),
        *_string_rows(),
        *(Row(f"rows-{n}", (MLP,), grpc_calls(MLP, 8, n)) for n in (64, 1024, 16384)),
        *(Row(f"identity-{n}", (IDENTITY,), grpc_calls(IDENTITY, n)) for n in (1, 8, 64)),
        *(Row(f"mlp-{n}", (MLP,), grpc_calls(MLP, n)) for n in (1, 8, 64, 512)),
        Row("outputs-8", (MANY_OUTPUTS,), grpc_calls(MANY_OUTPUTS, 8)),
        *_many_model_rows(),
        *_heavy_rows(),
        *(
            Row(
                f"traced-{n}", (MLP,), with_traces(grpc_calls(MLP, n)), f"mlp-{n}", of_headrace=True
            )
            for n in (8, 64)
        ),
    ]
    return {row.name: row for row in found}


def _rest_rows() -> list[Row]:
    made = {"json": json_request(MLP), "binary": binary_request(MLP)}
    return [
        Row(f"rest-{kind}-{n}", (MLP,), http_calls(MLP, request, n), needs_http=True)
        for kind, request in made.items()
        for n in (1, 8, 64)
    ]


def _string_rows() -> list[Row]:
    http: Mapping[str, HttpRequest] = {"binary": binary_request(TEXTS), "json": json_request(TEXTS)}
    return [
        Row("bytes-grpc-8", (TEXTS,), grpc_calls(TEXTS, 8)),
        *(
            Row(f"bytes-{kind}-8", (TEXTS,), http_calls(TEXTS, request, 8), needs_http=True)
            for kind, request in http.items()
        ),
    ]


def _many_model_rows() -> list[Row]:
    one = (replace(MLP, name="mlp_0"),)
    return [
        Row("models-1", one, callers_of(one)),
        Row("models-1-alone", (ALONE,), callers_of((ALONE,)), "models-1"),
        *(
            Row(
                f"models-{n}",
                numbered(n),
                callers_of(numbered(n)),
                "models-1",
                optional=n > CALLERS,
            )
            for n in (50, 500)
        ),
    ]


def _heavy_rows() -> list[Row]:
    return [
        Row(f"{model.name}-{n}", (model,), grpc_calls(model, n), beside_bare=(model, n))
        for model in (ENCODER, RESNET50)
        for n in (1, 8)
    ]


def chosen_rows(names: str) -> list[Row]:
    """The rows of these names or beginnings, with those that they are compared with; all where empty."""
    every = rows()
    if not names:
        return [row for row in every.values() if not row.optional]
    wanted = names.split(",")
    picked = {
        name for name in every for each in wanted if name == each or name.startswith(f"{each}-")
    }
    picked |= {base for name in picked if (base := every[name].base)}
    return [row for name, row in every.items() if name in picked]
