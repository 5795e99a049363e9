"""A node of a graph as the rules see it, and the table of rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnx

from headrace_registry.adapters.batch_invariance.sizes import Polynomial, Size, fresh
from headrace_registry.adapters.batch_invariance.values import (
    CONSTANT,
    ROWS,
    SIZE,
    NotProvenError,
    Shape,
    Value,
)

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

MICROSOFT, CLASSICAL = "com.microsoft", "ai.onnx.ml"


@dataclass(frozen=True)
class Surroundings:
    """The facts that all nodes of a model share.

    `assumed` grows: sizes that fit, unless a lone row cannot run or gives another number of rows.
    """

    opsets: dict[str, int]
    inferred: dict[str, Shape]
    assumed: list[str] = field(default_factory=list)


class Node:
    """Attributes, abstract inputs and the opset of one node; `run_body` gives what a subgraph gives."""

    def __init__(
        self,
        surroundings: Surroundings,
        proto: NodeProto,
        inputs: list[Value | None],
        run_body: Callable[[GraphProto, dict[str, Value]], list[Value]],
    ) -> None:
        self.surroundings = surroundings
        self.proto = proto
        self.inputs = inputs
        self.run_body = run_body
        self.operator: str = proto.op_type
        self.domain: str = domain_of(proto)
        self.attributes = {attribute.name: attribute for attribute in proto.attribute}
        self.all_constant = all(v is None or v.kind is CONSTANT for v in inputs)
        self.opset = surroundings.opsets.get(self.domain, 1)
        self.output_count = len(proto.output)

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute's value, strings as text."""
        found = self.attributes.get(name)
        if found is None:
            return default
        value = onnx.helper.get_attribute_value(found)
        return value.decode() if isinstance(value, bytes) else value

    def get(self, index: int) -> Value | None:
        """An input, None where it is not given."""
        return self.inputs[index] if index < len(self.inputs) else None

    def given(self, index: int) -> Value:
        """An input that must be there. Raises NotProvenError."""
        value = self.get(index)
        if value is None:
            raise NotProvenError(f"lacks its input {index}")
        return value

    def rows_at(self, index: int) -> Value:
        """An input of known rank that holds the rows; any constant where all inputs are constants."""
        value = self.given(index)
        kinds = (ROWS, CONSTANT) if self.all_constant else (ROWS,)
        if value.kind not in kinds or value.shape is None:
            raise NotProvenError(f"has an input {index} that does not hold the rows")
        return value

    def require_constants(self, *, but: Sequence[int]) -> None:
        """Raise NotProvenError where another input than these is no constant."""
        for index, value in enumerate(self.inputs):
            if index not in but and value is not None and value.kind is not CONSTANT:
                raise NotProvenError(f"has an input {index} that depends on the batch")

    def numbers(self, name: str, index: int) -> list[Any] | None:
        """An attribute of older opsets, or the known elements of an input of newer ones."""
        if name in self.attributes:
            value = self.attribute(name)
            return list(value) if isinstance(value, list | tuple) else [value]
        given = self.get(index) if index >= 0 else None
        if given is None:
            return None
        if given.data is None or given.kind not in (CONSTANT, SIZE):
            raise NotProvenError(f"has {name} that are not known beforehand")
        return [plain(number) for number in given.data.ravel()]

    def axes(self, index: int, rank: int, name: str = "axes") -> list[int] | None:
        """Axes as numbers from 0; None where none are given, or an empty list of them."""
        found = self.numbers(name, index)
        if not found:
            return None
        if not all(isinstance(axis, int) for axis in found):
            raise NotProvenError(f"has {name} that are not known beforehand")
        return [axis % rank for axis in found]


Result: TypeAlias = "Value | list[Value]"
Rule: TypeAlias = Callable[[Node], Result]
RULES: dict[tuple[str, str], Rule] = {}
"""By domain and operator: what comes out where an input depends on the batch."""
SHAPE_RULES: set[Rule] = set()
"""Rules that may be asked for the shape of what comes of constants."""


def rule(operators: str, domain: str = "", *, shapes: bool = False) -> Callable[[Rule], Rule]:
    """Make a function the rule of these operators."""

    def add(function: Rule) -> Rule:
        RULES.update({(domain, operator): function for operator in operators.split()})
        if shapes:
            SHAPE_RULES.add(function)
        return function

    return add


def domain_of(proto: NodeProto) -> str:
    """A node's domain; ONNX's own has two names."""
    return "" if proto.domain == "ai.onnx" else proto.domain


def plain(number: Any) -> Any:
    """A number of Python's for one of numpy's."""
    return number.item() if isinstance(number, np.generic) else number


def as_size(number: Any) -> Size:
    """The number as a size: an unknown one where it is neither an int nor a polynomial."""
    number = plain(number)
    return number if isinstance(number, int | Polynomial) else fresh(number)
