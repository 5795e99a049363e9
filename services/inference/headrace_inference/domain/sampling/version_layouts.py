"""Decides which fields of a version are profiled while there is no reference that says so."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from headrace.data_profiles.layouts import FieldLayout, Layout, Place
from headrace.data_profiles.references import Reference
from headrace.data_profiles.tensor_fields import layout_of, length_field, tensor_fields
from headrace.datatypes import Datatype
from headrace.state.language_records import VersionKind
from headrace.state.records import TensorSpec, VersionRecord
from headrace_inference.domain.sampling.rows import ANSWER, PROMPT

_FLOATS = (Datatype.FP16, Datatype.FP32, Datatype.FP64, Datatype.BF16)


class References(Protocol):
    """Knows how the data of versions looked when all was well."""

    def reference_of(self, record: VersionRecord) -> Reference | None:
        """The reference of a version, if it has one and it is here; asked often, it must not block."""


class NoReferences:
    """Knows none."""

    def reference_of(self, record: VersionRecord) -> Reference | None:  # noqa: ARG002  # it has none
        """Return None."""
        return None


def own_layout(record: VersionRecord, labels: Mapping[str, Sequence[str]]) -> Layout:
    """The fields of a version by its signature; `labels` are the names of classes, by output."""
    return layout_of(_fields(record, labels))


def _fields(record: VersionRecord, labels: Mapping[str, Sequence[str]]) -> Iterator[FieldLayout]:
    if record.kind is VersionKind.GENERATION:
        yield length_field(PROMPT)
        yield length_field(ANSWER)
        return
    batches = record.config.batching.max_batch_size > 0
    signature = record.signature
    for spec in (*signature.inputs, *signature.optional_inputs):
        yield from _fields_of(Place.INPUT, spec, (), batches=batches)
    for spec in signature.outputs:
        yield from _fields_of(Place.OUTPUT, spec, labels.get(spec.name, ()), batches=batches)


def _fields_of(
    place: Place, spec: TensorSpec, labels: Sequence[str], *, batches: bool
) -> Iterator[FieldLayout]:
    return tensor_fields(
        place,
        spec.name,
        _elements(spec, batches=batches),
        is_text=spec.datatype is Datatype.BYTES,
        is_float=spec.datatype in _FLOATS,
        labels=labels,
    )


def _elements(spec: TensorSpec, *, batches: bool) -> int | None:
    """Elements of a row; None where they vary. Of a version without batches a tensor is a row."""
    if spec.unranked:
        return None
    row = spec.shape[1:] if batches or spec.shape[:1] in ((-1,), (1,)) else spec.shape
    return None if any(size < 0 for size in row) else math.prod(row)
