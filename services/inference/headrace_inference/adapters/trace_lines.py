"""Traces as lines of JSON. Of most, all but some numbers is as in the trace before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from json.encoder import encode_basestring_ascii

import numpy as np

from headrace_inference.domain.extensions.trace_records import (
    RequestFacts,
    TracedBatch,
    TracedTensor,
    TracedTensors,
)

_STAGES = ("COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START")


def lines_of(batch: TracedBatch, first_id: int) -> Iterator[str]:
    """Yield a line for each request of a batch, numbered from `first_id`."""
    at = f', "at": {batch.wall_ns / 1e9!r}, '
    error, ends = _error(batch), _ends(batch)
    tensors = [_tensors(both) for both in batch.tensors]
    for place, (facts, received) in enumerate(zip(batch.facts, batch.received_ns, strict=True)):
        known = facts.rendered or _render(facts)
        times = ""
        if batch.with_times:
            times = (
                f', "timestamps": [{{"name": "REQUEST_START", "ns": {received}}}'
                f', {{"name": "QUEUE_START", "ns": {received}}}{ends}'
            )
        values = tensors[place] if tensors else ""
        yield f'{{"id": {first_id + place}{at}{known}{error}{times}{values}}}\n'


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
    stages = [*zip(_STAGES, batch.times_ns, strict=False), ("REQUEST_END", batch.ended_ns)]
    return "".join(f', {{"name": "{name}", "ns": {ns}}}' for name, ns in stages) + "]"


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
