"""Computing with sizes: the small tensors out of which exporters build shapes, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from headrace_registry.adapters.batch_invariance.nodes import Node, plain
from headrace_registry.adapters.batch_invariance.sizes import (
    Polynomial,
    add,
    depends_on_batch,
    fresh,
    is_nonnegative,
    is_unknown,
    multiply,
    product,
    quotient,
)
from headrace_registry.adapters.batch_invariance.values import MAX_ELEMENTS

_MAX_FLOATS = 256
_LITERALS = ("value_int", "value_ints", "value_float", "value_floats")
_FAILURES = (TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError, AttributeError)
_INTEGERS = (TensorProto.INT32, TensorProto.INT64)
_WIDE = (*_INTEGERS, TensorProto.FLOAT, TensorProto.DOUBLE)


def fold(node: Node) -> Any:
    """The elements of the node's result, as far as its operands' are known, or None."""
    if node.operator == "Constant":
        return _literal(node)
    if node.operator in ("Shape", "Size"):
        return _of_shape(node)
    datas = [None if value is None else value.data for value in node.inputs]
    if not datas or not all(map(_can_be_folded, node.inputs)):
        return None
    try:
        return _compute(node, datas)
    except _FAILURES:
        return None


def can_fold(operator: str) -> bool:
    """Return whether there is a way to compute ONNX's operator of this name."""
    return operator in _ELEMENTWISE or operator in _MOVES or operator in _SOURCES


def _can_be_folded(value: Any) -> bool:
    if value is None:
        return True
    data = value.data
    return data is not None and data.size <= MAX_ELEMENTS and data.dtype.kind in "iubfO"


def _literal(node: Node) -> Any:
    tensor = node.attributes.get("value")
    if tensor is not None:
        return literal(tensor.t)
    for name in _LITERALS:
        if name in node.attributes:
            return np.asarray(node.attribute(name))
    return None


def literal(tensor: TensorProto) -> Any:
    """The elements of a small tensor of the file, or None."""
    if math.prod(tensor.dims) > MAX_ELEMENTS or tensor.data_location == TensorProto.EXTERNAL:
        return None
    try:
        return numpy_helper.to_array(tensor)
    except _FAILURES:
        return None


def _of_shape(node: Node) -> Any:
    shape = None if node.inputs[0] is None else node.inputs[0].shape
    if shape is None:
        return None
    if node.operator == "Size":
        return _scalar(product(shape))
    return _vector(shape[slice(node.attribute("start", 0), node.attribute("end"))])


def _scalar(value: Any) -> Any:
    array = np.empty((), object)
    array[()] = value
    return array


def _vector(values: Any) -> Any:
    array = np.empty(len(values), object)
    array[:] = list(values)
    return array


def _compute(node: Node, datas: list[Any]) -> Any:
    function = _ELEMENTWISE.get(node.operator)
    if function is None:
        return _MOVES[node.operator](node, datas)
    too_many = any(d.dtype.kind == "f" and d.size > _MAX_FLOATS for d in datas)
    if too_many or (node.operator in ("Max", "Min") and len(datas) != 2):
        return None
    folded = np.frompyfunc(function, len(datas), 1)(*(d.astype(object) for d in datas))
    return np.asarray(folded, object)


def _divide(a: Any, b: Any) -> Any:
    if not isinstance(a, Polynomial) and not isinstance(b, Polynomial):
        if isinstance(a, int) and isinstance(b, int):
            return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        return a / b
    if b == 1:
        return a
    exact = None if isinstance(a, float) or isinstance(b, float) else quotient(a, b)
    return fresh(a, b) if exact is None else exact


def _on_plain_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    def apply(*operands: Any) -> Any:
        operands = tuple(map(plain, operands))
        if any(isinstance(operand, Polynomial) for operand in operands):
            return fresh(*operands)
        return function(*operands)

    return apply


def _on_sizes(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def apply(a: Any, b: Any) -> Any:
        a, b = plain(a), plain(b)
        kinds = (isinstance(a, Polynomial | float), isinstance(b, Polynomial | float))
        if all(kinds) and isinstance(a, Polynomial) != isinstance(b, Polynomial):
            return fresh(a, b)
        if not isinstance(a, Polynomial) and not isinstance(b, Polynomial) and any(kinds):
            return _FLOATS[function](a, b)
        return function(a, b)

    return apply


def _subtract(a: Any, b: Any) -> Any:
    return add(a, b, -1)


_FLOATS: Mapping[Any, Callable[[Any, Any], Any]] = {
    add: lambda a, b: a + b,
    _subtract: lambda a, b: a - b,
    multiply: lambda a, b: a * b,
}


def _times(a: Any, b: Any) -> Any:
    a, b = plain(a), plain(b)
    for size, factor in ((a, b), (b, a)):
        if isinstance(size, Polynomial) and isinstance(factor, float) and factor == 1.0:
            return size
    return _on_sizes(multiply)(a, b)


def _equal(a: Any, b: Any) -> Any:
    a, b = plain(a), plain(b)
    if a == b:
        return True
    if not isinstance(a, Polynomial) and not isinstance(b, Polynomial):
        return False
    for size, number in ((a, b), (b, a)):
        negative = not isinstance(number, Polynomial) and number < 0
        if negative and isinstance(size, Polynomial) and is_nonnegative(size):
            return False
    return fresh(a, b)


def _where(condition: Any, a: Any, b: Any) -> Any:
    condition, a, b = map(plain, (condition, a, b))
    if isinstance(condition, Polynomial):
        return a if a == b and not depends_on_batch(condition) else fresh(condition, a, b)
    return a if condition else b


def _negative(a: Any) -> Any:
    a = plain(a)
    return multiply(a, -1) if isinstance(a, Polynomial) else -a


def _rounded(function: Callable[[float], Any]) -> Callable[[Any], Any]:
    def apply(a: Any) -> Any:
        return (
            a if isinstance(a, Polynomial) and not is_unknown(a) else _on_plain_numbers(function)(a)
        )

    return apply


_ELEMENTWISE: Mapping[str, Callable[..., Any]] = {
    "Add": _on_sizes(add),
    "Sub": _on_sizes(_subtract),
    "Mul": _times,
    "Div": lambda a, b: _divide(plain(a), plain(b)),
    "Equal": _equal,
    "Where": _where,
    "Max": _on_plain_numbers(max),
    "Min": _on_plain_numbers(min),
    "Greater": _on_plain_numbers(lambda a, b: a > b),
    "Less": _on_plain_numbers(lambda a, b: a < b),
    "GreaterOrEqual": _on_plain_numbers(lambda a, b: a >= b),
    "LessOrEqual": _on_plain_numbers(lambda a, b: a <= b),
    "And": _on_plain_numbers(lambda a, b: a and b),
    "Or": _on_plain_numbers(lambda a, b: a or b),
    "Not": _on_plain_numbers(lambda a: not a),
    "Neg": _negative,
    "Floor": _rounded(math.floor),
    "Ceil": _rounded(math.ceil),
    "Abs": _on_plain_numbers(abs),
    "Pow": _on_plain_numbers(lambda a, b: a**b if abs(a) < 1e6 and abs(b) < 64 else None),
    "Sqrt": _on_plain_numbers(math.sqrt),
}


def _cast(node: Node, datas: list[Any]) -> Any:
    data, to = datas[0], node.attribute("to")
    elements = [plain(element) for element in data.ravel()]
    if all(isinstance(element, int | Polynomial) for element in elements):
        return data if to in _WIDE else None
    if to in _INTEGERS and not any(isinstance(element, Polynomial) for element in elements):
        return data.astype(np.float64).astype(np.int64)
    return data if to in (TensorProto.FLOAT, TensorProto.DOUBLE) else None


def _squeeze(node: Node, datas: list[Any]) -> Any:
    axes = node.numbers("axes", 1)
    return np.squeeze(datas[0], None if axes is None else tuple(axes))


def _slice(node: Node, datas: list[Any]) -> Any:
    starts, ends = node.numbers("starts", 1), node.numbers("ends", 2)
    if starts is None or ends is None:
        return None
    axes = node.numbers("axes", 3) or list(range(len(starts)))
    steps = node.numbers("steps", 4) or [1] * len(starts)
    index = [slice(None)] * datas[0].ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        last = int(end) if int(end) > -(1 << 62) else None
        index[int(axis)] = slice(int(start), last, int(step))
    return datas[0][tuple(index)]


def _reshape(_: Node, datas: list[Any]) -> Any:
    target = [int(size) for size in datas[1]]
    return None if 0 in target else datas[0].reshape(target)


def _reduce_product(node: Node, datas: list[Any]) -> Any:
    if datas[0].ndim != 1 or datas[0].dtype.kind == "f":
        return None
    total = product(plain(size) for size in datas[0])
    return _vector([total]) if node.attribute("keepdims", 1) else _scalar(total)


def _range(_: Node, datas: list[Any]) -> Any:
    bounds = [plain(data.ravel()[0]) for data in datas]
    if not all(isinstance(bound, int) for bound in bounds) or not bounds[2]:
        return None
    numbers = range(*bounds)
    return np.array(numbers, np.int64) if len(numbers) <= MAX_ELEMENTS else None


def _constant_of_shape(node: Node, datas: list[Any]) -> Any:
    shape = [int(size) for size in datas[0]]
    value = node.attribute("value")
    filling = np.float32(0) if value is None else numpy_helper.to_array(value).ravel()[0]
    return np.full(shape, filling) if math.prod(shape) <= MAX_ELEMENTS else None


def _expand(_: Node, datas: list[Any]) -> Any:
    shape = np.broadcast_shapes(datas[0].shape, tuple(int(size) for size in datas[1]))
    return np.broadcast_to(datas[0], shape) if math.prod(shape) <= MAX_ELEMENTS else None


def _gather(node: Node, datas: list[Any]) -> Any:
    if datas[0].size and datas[1].size * datas[0].size > MAX_ELEMENTS**2:
        return None
    taken = np.take(datas[0].astype(object), datas[1].astype(np.int64), node.attribute("axis", 0))
    return np.asarray(taken, object)


_MOVES: Mapping[str, Callable[[Node, list[Any]], Any]] = {
    "Identity": lambda _, datas: datas[0],
    "Cast": _cast,
    "Concat": lambda node, datas: np.concatenate(
        [data.astype(object) for data in datas], node.attribute("axis")
    ),
    "Gather": _gather,
    "Squeeze": _squeeze,
    "Unsqueeze": lambda node, datas: np.expand_dims(datas[0], tuple(node.numbers("axes", 1) or ())),
    "Slice": _slice,
    "Reshape": _reshape,
    "ReduceProd": _reduce_product,
    "Range": _range,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Transpose": lambda node, datas: datas[0].transpose(node.attribute("perm")),
}
_SOURCES = ("Constant", "Shape", "Size")
