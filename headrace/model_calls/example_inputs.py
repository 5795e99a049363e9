"""Values that a model's signature allows, small enough to read, for calls that people copy."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from headrace.datatype_names import FLOATS, Datatype
from headrace.state.records import Signature, TensorSpec

MOST_WRITTEN_OUT = 48
"""Elements that are written one by one; more are one value, repeated."""
MOST_ELEMENTS = 4_000_000

Scalar = bool | int | float | str
Nested = Scalar | list["Nested"]

_SPACE = ("height", "width", "h", "w")
_SEQUENCE = ("seq", "len", "token", "time", "step")
_SIZES = (None, 1, 8, 64, 224)
"""What free dimensions but the first may be: as their names and places say, or one size for all."""


@dataclass(frozen=True, slots=True)
class ExampleTensor:
    """An input with a value: `element` throughout, or rising from it where elements are written out."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    element: Scalar

    @property
    def size(self) -> int:
        """Return how many elements it has."""
        return math.prod(self.shape)

    @property
    def is_written_out(self) -> bool:
        """Return whether it is small enough to be written one element after the other."""
        return self.size <= MOST_WRITTEN_OUT

    def values(self) -> Nested:
        """All of it as nested lists."""
        return _nested(self.shape, iter(self._elements()))

    def flat(self) -> list[Scalar]:
        """All of it as one list, row by row."""
        return [*self._elements()]

    def as_base64(self) -> ExampleTensor:
        """The same with a text as gRPC's JSON has bytes."""
        if not isinstance(self.element, str):
            return self
        return replace(self, element=b64encode(self.element.encode()).decode())

    def _elements(self) -> Sequence[Scalar]:
        if self.is_written_out and isinstance(self.element, float):
            return [round(self.element + index / 10, 1) for index in range(self.size)]
        return [self.element] * self.size


def example_inputs(signature: Signature) -> Iterator[tuple[ExampleTensor, ...]]:
    """Values for all required inputs, the likeliest to be taken first.

    A signature does not say what free dimensions and integers may be, so there are several.
    """
    seen = set()
    for size, integer in product(_SIZES, (1, 0)):
        example = tuple(_example(spec, size, integer) for spec in signature.inputs)
        if example not in seen and all(tensor.size <= MOST_ELEMENTS for tensor in example):
            seen.add(example)
            yield example


def _example(spec: TensorSpec, free: int | None, integer: int) -> ExampleTensor:
    names = spec.dim_names or ("",) * len(spec.shape)
    rank = len(spec.shape)
    shape = tuple(
        size if size >= 0 else _free_size(name.lower(), place, rank, free)
        for place, (size, name) in enumerate(zip(spec.shape, names, strict=True))
    )
    shape = (1,) if spec.unranked else shape
    element = _element(spec.name.lower(), spec.datatype, integer)
    return ExampleTensor(spec.name, spec.datatype, shape, element)


def _element(name: str, datatype: Datatype, integer: int) -> Scalar:
    if datatype is Datatype.BYTES:
        return "some text"
    if datatype is Datatype.BOOL:
        return True
    if datatype in FLOATS:
        return 0.5
    if "mask" in name:
        return 1
    return 0 if "type" in name else integer


def _free_size(name: str, place: int, rank: int, size: int | None) -> int:
    if place == 0:
        return 1
    return _likely_size(name, place, rank) if size is None else size


def _likely_size(name: str, place: int, rank: int) -> int:
    if rank == 4:
        return 3 if "channel" in name or (place == 1 and not name.startswith(_SPACE)) else 224
    if name in _SPACE or name.startswith(("height", "width")):
        return 224
    return 8 if any(word in name for word in _SEQUENCE) else 1


def _nested(shape: Sequence[int], elements: Iterator[Scalar]) -> Nested:
    if not shape:
        return next(elements)
    return [_nested(shape[1:], elements) for _ in range(shape[0])]
