"""Provides warm-up inputs: the samples of a serving config, or made-up ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from headrace.model_files.warm_up_samples import check_samples, read_rows
from headrace.state.records import Sample, SampleInput, Signature, TensorSpec, VersionRecord
from headrace_inference.adapters.runtime.synthetic_inputs import (
    MAX_MADE_UP_BYTES,
    made_up_inputs,
    made_up_shape,
    made_up_values,
)
from headrace_inference.domain.scheduling.requests import Array


@dataclass(frozen=True, slots=True)
class WarmUpInputs:
    """Inputs to run so many times; `make` gives those of so many rows, None where they are too large."""

    name: str
    """A sample's; empty where they are made up."""
    runs: int
    make: Callable[[int], list[Array] | None]


def warm_up_inputs(record: VersionRecord, folder: Path) -> list[WarmUpInputs]:
    """Return what a version is warmed with; its files are in a folder.

    Raises InvalidArgument (WARM_UP_SAMPLE_INVALID).
    """
    warm_up, signature = record.config.warm_up, record.signature
    batches = record.config.batching.max_batch_size > 0
    if not warm_up.samples:
        make = partial(made_up_inputs, signature, batches=batches, data=warm_up.data)
        return [WarmUpInputs("", warm_up.runs, make)]
    check_samples(warm_up.samples, signature, folder, batches=batches)
    return [
        WarmUpInputs(
            sample.name, sample.runs, partial(_make, signature, sample, folder, batches=batches)
        )
        for sample in warm_up.samples
    ]


def _make(
    signature: Signature, sample: Sample, folder: Path, rows: int, *, batches: bool
) -> list[Array] | None:
    arrays: list[Array] = []
    left = MAX_MADE_UP_BYTES
    for spec in signature.inputs:
        given = sample.inputs[spec.name]
        if given.file:
            array = _from_file(sample.name, spec, given, folder, rows if batches else None, left)
        else:
            shape = made_up_shape(_with_shape(spec, given, batches=batches), rows, batches=batches)
            array = made_up_values(spec.datatype, shape, given.data, left)
        if array is None:
            return None
        left -= array.nbytes
        arrays.append(array)
    return arrays


def _with_shape(spec: TensorSpec, given: SampleInput, *, batches: bool) -> TensorSpec:
    """The input with the shape of the sample, where that says one."""
    if not given.shape:
        return spec
    shape = (-1, *given.shape) if batches else given.shape
    return replace(spec, shape=shape, dim_names=(), unranked=False)


def _from_file(
    sample: str, spec: TensorSpec, given: SampleInput, folder: Path, rows: int | None, most: int
) -> Array | None:
    """The file's values; with `rows` so many of them, in turn. None where they are over `most` bytes."""
    values = read_rows(sample, spec, given, folder, batches=rows is not None)
    if rows is None:
        return np.asarray(values) if values.nbytes <= most else None
    if values.nbytes // len(values) * rows > most:
        return None
    return np.ascontiguousarray(values[np.arange(rows) % len(values)])
