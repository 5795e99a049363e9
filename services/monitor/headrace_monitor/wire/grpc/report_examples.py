"""Examples of rows in reports, from their messages; those that are wrong are left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from headrace.data_profiles.layouts import Layout
from headrace.monitor.v1 import telemetry_pb2
from headrace_monitor.domain.telemetry.known_layouts import KnownLayouts
from headrace_monitor.domain.telemetry.row_example import RowExample
from headrace_monitor.wire.grpc.times import nanoseconds

MAX_EXAMPLES = 500
"""In one report."""

MAX_LENGTH = 256
"""Of names, ids and slices."""

MAX_SLICES = 20
MAX_VALUE_LENGTH = 64


def examples_from_proto(
    protos: Iterable[telemetry_pb2.RowExample], layouts: KnownLayouts
) -> tuple[RowExample, ...]:
    """The examples whose fields were told before."""
    return tuple(_known(protos, layouts))


def _known(
    protos: Iterable[telemetry_pb2.RowExample], layouts: KnownLayouts
) -> Iterator[RowExample]:
    for _, proto in zip(range(MAX_EXAMPLES), protos, strict=False):
        layout = layouts.find(proto.model, proto.version, proto.reference)
        if layout is not None and _is_sound(proto) and _fits(proto, layout):
            yield RowExample(
                proto.model,
                proto.version,
                layout,
                proto.request_id,
                proto.row,
                nanoseconds(proto.time),
                tuple(proto.slices),
                np.array(proto.bins, np.int32).tobytes(),
                "\n".join(map(_line, proto.values)),
            )


def _is_sound(proto: telemetry_pb2.RowExample) -> bool:
    lengths = [len(proto.request_id), *map(len, proto.slices)]
    return (
        0 < lengths[0] <= MAX_LENGTH
        and max(lengths) <= MAX_LENGTH
        and len(proto.slices) <= MAX_SLICES
        and proto.row >= 0
        and nanoseconds(proto.time) > 0
    )


def _fits(proto: telemetry_pb2.RowExample, layout: Layout) -> bool:
    aspects = sum(len(each.aspects) for each in layout.fields)
    is_told = len(proto.values) in {0, len(layout.fields)}
    return is_told and len(proto.bins) == aspects and all(place >= 0 for place in proto.bins)


def _line(value: str) -> str:
    return " ".join(value[:MAX_VALUE_LENGTH].splitlines())
