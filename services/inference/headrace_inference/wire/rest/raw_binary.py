"""Requests that are nothing but bytes: the one input of a version, without JSON in front."""

from __future__ import annotations

from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.errors import InvalidArgument
from headrace.service.http.requests import Body
from headrace.state.records import TensorSpec, VersionRecord
from headrace_inference.domain.scheduling.requests import TensorHeader
from headrace_inference.wire.rest.requests import RestRequest


def raw_request(record: VersionRecord, body: Body) -> RestRequest:
    """A body that is nothing but the one input of a version; all outputs are wanted as binary data.

    The request is one row where the version batches. One dimension may be free and follows from the
    length; a BYTES input is one element, the body itself. Raises InvalidArgument (RAW_REQUEST_INVALID).
    """
    if len(record.signature.inputs) != 1:
        count = len(record.signature.inputs)
        raise _raw_invalid(record, f"takes {count} inputs; a body without JSON can carry one")
    spec = record.signature.inputs[0]
    if spec.unranked:
        raise _raw_invalid(record, f"says no shape of input '{spec.name}': send it as JSON")
    shape = (1, *spec.shape[1:]) if record.config.batching.max_batch_size else spec.shape
    free = shape.count(-1)
    if free > 1:
        raise _raw_invalid(record, f"has {free} free dimensions in input '{spec.name}'; one may be")
    content: Body = body
    if spec.datatype is Datatype.BYTES:
        filled = tuple(1 if size == -1 else size for size in shape)
        content = b"".join((len(body).to_bytes(4, "little"), body))
    else:
        filled = _fill(record, spec, shape, len(body))
    header = TensorHeader(spec.name, spec.datatype.value, filled)
    return RestRequest("", (header,), (), (memoryview(content),), {}, binary_by_default=True)


def _fill(
    record: VersionRecord, spec: TensorSpec, shape: tuple[int, ...], body_bytes: int
) -> tuple[int, ...]:
    if -1 not in shape:
        return shape
    unit = NUMPY_DTYPES[spec.datatype].itemsize
    for size in shape:
        unit *= 1 if size == -1 else size
    if unit == 0 or body_bytes % unit:
        raise _raw_invalid(record, f"takes multiples of {unit} bytes, got {body_bytes}")
    return tuple(body_bytes // unit if size == -1 else size for size in shape)


def _raw_invalid(record: VersionRecord, what: str) -> InvalidArgument:
    return InvalidArgument(
        "RAW_REQUEST_INVALID", f"raw request for model '{record.model}', which {what}"
    )
