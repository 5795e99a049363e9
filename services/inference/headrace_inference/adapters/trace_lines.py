"""Traces as lines of JSON. Of most, all but some numbers is as in the trace before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count
from json.encoder import encode_basestring_ascii

import numpy as np

from headrace_inference.domain.extensions.trace_records import (
    RequestFacts,
    TracedBatch,
    TracedTensor,
    TracedTensors,
)

_STAGES = ("COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START")
_STAGE = ', {"name": "%s", "ns": %d}'.__mod__
_START = ', "timestamps": [{"name": "REQUEST_START", "ns": '
_QUEUED = '}, {"name": "QUEUE_START", "ns": '


def lines_of(batch: TracedBatch, first_id: int) -> list[str]:
    """Make a line for each request of a batch, numbered from `first_id`."""
    at, error, numbers = f', "at": {batch.wall_ns / 1e9!r}, ', _error(batch), count(first_id)
    if batch.with_times and not batch.tensors:  # mostly, so that no line is put together twice
        start, ends = error + _START, _ends(batch) + "}\n"
        return [
            f'{{"id": {number}{at}{facts.rendered or _render(facts)}{start}{ns}{_QUEUED}{ns}{ends}'
            for number, facts, ns in zip(numbers, batch.facts, batch.received_ns, strict=False)
        ]
    ends = _ends(batch)
    tensors = [_tensors(both) for both in batch.tensors] or [""] * len(batch.facts)
    times = [
        f"{_START}{ns}{_QUEUED}{ns}{ends}" if batch.with_times else "" for ns in batch.received_ns
    ]
    return [
        f'{{"id": {number}{at}{facts.rendered or _render(facts)}{error}{stages}{values}}}\n'
        for number, facts, stages, values in zip(numbers, batch.facts, times, tensors, strict=False)
    ]


def _render(facts: RequestFacts) -> str:
    """Render what is known before the run, by hand: requests with ids share nothing."""
    parameters = json.dumps(dict(facts.parameters), allow_nan=False) if facts.parameters else "{}"
    model, version, request_id, route = map(
        encode_basestring_ascii, (facts.model, facts.version, facts.id, facts.route)
    )
    facts.rendered = (
        f'"model_name": {model}, "model_version": {version}, "request_id": {request_id}'
        f', "parameters": {parameters}, "route": {route}, "rows": {facts.rows}'
    )
    return facts.rendered


def _inside(values: dict[str, object]) -> str:
    return json.dumps(values, allow_nan=False)[1:-1]


def _error(batch: TracedBatch) -> str:
    if batch.error is None:
        return ""
    reason, message = batch.error
    return ", " + _inside({"error": reason, "message": message})


def _ends(batch: TracedBatch) -> str:
    """The stages that all requests of a batch share, named as Triton does, on the monotonic clock."""
    stages = "".join(map(_STAGE, zip(_STAGES, batch.times_ns, strict=False)))
    return f'}}{stages}, {{"name": "REQUEST_END", "ns": {batch.ended_ns}}}]'


def _tensors(both: TracedTensors) -> str:
    inputs, outputs = ([_tensor(tensor) for tensor in tensors] for tensors in both)
    return ", " + _inside({"inputs": inputs, "outputs": outputs})


def _tensor(tensor: TracedTensor) -> dict[str, object]:
    flat = tensor.elements
    if flat.dtype.kind not in "biuOU":
        flat = flat.astype(np.float64)  # FP16 and BF16 have no JSON form of their own
    values: Sequence[object] = flat.tolist()
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": list(tensor.shape),
        "data": [_plain(value) for value in values],
        "left_out": tensor.left_out,
    }


def _plain(value: object) -> object:
    """A value that JSON has: not the floats that are not finite, nor bytes."""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value
