"""Brings sampled rows together, so that many are looked at in one step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from headrace.data_profiles.layouts import Place
from headrace.data_profiles.profiling import Tensors
from headrace.state.records import VersionRecord
from headrace_inference.domain.sampling.rows import SampledRows
from headrace_inference.domain.scheduling.requests import Array

MAX_TOGETHER = 512
"""Rows that are looked at in one step: others get the interpreter in between."""


def texts(labels: Mapping[str, Sequence[bytes]]) -> dict[str, Sequence[str]]:
    """The names of classes, by output."""
    return {
        output: [name.decode(errors="replace") for name in names]
        for output, names in labels.items()
    }


def alike(waiting: Sequence[SampledRows]) -> Iterator[Sequence[SampledRows]]:
    """Yield rows whose tensors have the same shapes, MAX_TOGETHER or a few more at a time."""
    groups: dict[object, list[SampledRows]] = {}
    counts: dict[object, int] = {}
    for rows in waiting:
        shape = tuple(
            [None if one is None else one.shape[1:] for one in (*rows.inputs, *rows.outputs)]
        )
        groups.setdefault(shape, []).append(rows)
        counts[shape] = counts.get(shape, 0) + len(rows)
        if counts[shape] >= MAX_TOGETHER:
            yield groups.pop(shape)
            del counts[shape]
    yield from groups.values()


def tensors(record: VersionRecord, together: Sequence[SampledRows]) -> Tensors:
    """The tensors of these rows, by place and name."""
    signature = record.signature
    found: dict[tuple[Place, str], Array | None] = {}
    inputs = (*signature.inputs, *signature.optional_inputs)
    for at, spec in enumerate(inputs):
        found[Place.INPUT, spec.name] = _joined([_at(rows.inputs, at) for rows in together])
    for at, spec in enumerate(signature.outputs):
        found[Place.OUTPUT, spec.name] = _joined([_at(rows.outputs, at) for rows in together])
    return found


def _at(arrays: Sequence[Array | None], at: int) -> Array | None:
    return arrays[at] if at < len(arrays) else None


def _joined(arrays: Sequence[Array | None]) -> Array | None:
    there = [array for array in arrays if array is not None]
    if not there:
        return None
    return there[0] if len(there) == 1 else np.concatenate(there)


def lengths(together: Sequence[SampledRows]) -> Mapping[str, Array]:
    """The lengths of these generations."""
    return {
        name: np.concatenate([rows.lengths[name] for rows in together])
        for name in together[0].lengths
    }
