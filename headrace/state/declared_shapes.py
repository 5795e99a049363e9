"""Gives a signature the shapes that a serving config declares, where the graph has others or none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

from headrace.errors import FieldViolation, InvalidArgument
from headrace.state.records import DeclaredShape, DeclaredShapes, Signature, TensorSpec

FREE = -1


def with_declared_shapes(
    signature: Signature, shapes: DeclaredShapes, *, batches: bool
) -> Signature:
    """Return what callers see of a graph that takes and gives `signature`.

    `batches` says that shapes stand behind a batch dimension; that of an optional input never does.
    Raises InvalidArgument (DECLARED_SHAPE_IMPOSSIBLE) for tensors that are not there, shapes that the graph
    does not take, and reshapes that would change the number of elements.
    """
    if not shapes.inputs and not shapes.outputs:
        return signature
    known = (*signature.inputs, *signature.optional_inputs)
    wrong = [
        *_unknown("inputs", shapes.inputs, known),
        *_unknown("outputs", shapes.outputs, signature.outputs),
        *_misfits("inputs", shapes.inputs, signature.inputs, batches=batches),
        *_misfits("inputs", shapes.inputs, signature.optional_inputs, batches=False),
        *_misfits("outputs", shapes.outputs, signature.outputs, batches=batches),
    ]
    if wrong:
        raise _impossible(wrong)
    return Signature(
        _declared(signature.inputs, shapes.inputs, batches=batches),
        _declared(signature.outputs, shapes.outputs, batches=batches),
        _declared(signature.optional_inputs, shapes.inputs, batches=False),
    )


def has_reshapes(shapes: DeclaredShapes) -> bool:
    """Return whether callers see any tensor in another shape than the graph has it in."""
    return any(
        each.graph is not None for each in (*shapes.inputs.values(), *shapes.outputs.values())
    )


def _declared(
    specs: Sequence[TensorSpec], shapes: Mapping[str, DeclaredShape], *, batches: bool
) -> tuple[TensorSpec, ...]:
    return tuple(_with_shape(spec, shapes.get(spec.name), batches=batches) for spec in specs)


def _with_shape(spec: TensorSpec, declared: DeclaredShape | None, *, batches: bool) -> TensorSpec:
    if declared is None:
        return spec
    shape = (*(FREE,) * batches, *declared.dims)
    known = spec.dim_names if declared.graph is None else spec.dim_names[: int(batches)]
    named = zip_longest(shape, known, fillvalue="")
    names = tuple(name if size == FREE else "" for size, name in named)
    return replace(spec, shape=shape, dim_names=names, unranked=False)


def _unknown(
    kind: str, shapes: Mapping[str, DeclaredShape], specs: Sequence[TensorSpec]
) -> Iterator[FieldViolation]:
    names = [spec.name for spec in specs]
    for name in shapes:
        if name not in names:
            listed = ", ".join(repr(each[:80]) for each in names[:20]) or "none"
            yield FieldViolation(_field(kind, name), f"the graph's {kind} are: {listed}")


def _misfits(
    kind: str,
    shapes: Mapping[str, DeclaredShape],
    specs: Sequence[TensorSpec],
    *,
    batches: bool,
) -> Iterator[FieldViolation]:
    for spec in specs:
        declared = shapes.get(spec.name)
        if declared is None:
            continue
        graph = declared.dims if declared.graph is None else declared.graph
        whole = (*(FREE,) * batches, *graph)
        if not spec.unranked and not _covers(spec.shape, whole):
            what = f"{list(whole)} is not what the graph has, {list(spec.shape)}"
            yield FieldViolation(_field(kind, spec.name), what)
        elif _segments(declared.dims) != _segments(graph):
            what = f"{list(declared.dims)} and {list(graph)} differ in the number of their elements"
            yield FieldViolation(_field(kind, spec.name), what)


def _covers(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    return all(size in (FREE, other) for size, other in zip_longest(shape, wanted))


def _segments(dims: Sequence[int]) -> list[int]:
    """Return how many elements lie before, between and after free dimensions, which stay in order."""
    segments: list[list[int]] = [[]]
    for size in dims:
        if size == FREE:
            segments.append([])
        else:
            segments[-1].append(size)
    return [math.prod(segment) for segment in segments]


def _field(kind: str, name: str) -> str:
    return f"serving_config.shapes.{kind}[{name[:80]}]"


def _impossible(wrong: Sequence[FieldViolation]) -> InvalidArgument:
    first = tuple(wrong[:20])
    listed = "; ".join(f"{each.field}: {each.description}" for each in first)
    return InvalidArgument(
        "DECLARED_SHAPE_IMPOSSIBLE", f"the declared shapes do not fit: {listed}", violations=first
    )
