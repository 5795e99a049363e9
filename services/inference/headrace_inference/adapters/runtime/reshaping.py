"""Runs of versions whose callers see tensors in other shapes than the graph has them in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from headrace.state.declared_shapes import FREE
from headrace.state.records import DeclaredShape, TensorSpec, VersionRecord
from headrace_inference.adapters.runtime.io_binding import Execute
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.runner import RunFailed

Reshape = Callable[[Array], Array]


def reshaping(execute: Execute, record: VersionRecord) -> Execute:
    """The runs with inputs as the graph takes them, and outputs as callers see them."""
    signature, shapes = record.signature, record.config.shapes
    batches = record.config.batching.max_batch_size > 0
    into = [
        *_reshapes(signature.inputs, shapes.inputs, batches=batches, inward=True),
        *_reshapes(signature.optional_inputs, shapes.inputs, batches=False, inward=True),
    ]
    out = _reshapes(signature.outputs, shapes.outputs, batches=batches, inward=False)

    def execute_reshaped(inputs: Sequence[Array], runs: Any) -> list[Array]:
        # Optional inputs are left out at the end, or None.
        taken = [
            array if array is None else reshape(array)
            for reshape, array in zip(into, inputs, strict=False)
        ]
        outputs = execute(taken, runs)
        return [reshape(array) for reshape, array in zip(out, outputs, strict=True)]

    return execute_reshaped


def _reshapes(
    specs: Sequence[TensorSpec],
    shapes: Mapping[str, DeclaredShape],
    *,
    batches: bool,
    inward: bool,
) -> list[Reshape]:
    return [_reshape(spec, shapes.get(spec.name), batches=batches, inward=inward) for spec in specs]


def _reshape(
    spec: TensorSpec, declared: DeclaredShape | None, *, batches: bool, inward: bool
) -> Reshape:
    if declared is None or declared.graph is None:
        return lambda array: array
    batch = (FREE,) * batches
    callers, graph = (*batch, *declared.dims), (*batch, *declared.graph)
    return _between(spec.name, *((callers, graph) if inward else (graph, callers)))


def _between(name: str, before: Sequence[int], after: Sequence[int]) -> Reshape:
    """From one shape to the other; free sizes are taken over in their order."""
    places = [place for place, size in enumerate(before) if size == FREE]

    def reshape(array: Array) -> Array:
        if array.ndim != len(before):
            raise _unlike(name, array, before)
        free = iter([array.shape[place] for place in places])
        sizes = [next(free) if size == FREE else size for size in after]
        try:
            return np.reshape(array, sizes)
        except ValueError:
            raise _unlike(name, array, before) from None

    return reshape


def _unlike(name: str, array: Array, declared: Sequence[int]) -> RunFailed:
    return RunFailed(
        f"'{name}' has the shape {list(array.shape)}; its serving config declares {list(declared)}"
    )
