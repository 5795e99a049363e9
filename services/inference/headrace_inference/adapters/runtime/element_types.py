"""The element types of a graph's values, as far as its operators' schemas tell: no weights, no shapes.

ONNX's own inference of shapes ends the process on some graphs; this needs a fraction of it.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

import onnx
from onnx import AttributeProto, TensorProto

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

UNKNOWN = 0
NUMBERS: dict[str, int] = dict(TensorProto.DataType.items())
"""ONNX's numbers of element types, by their names in capitals."""

Types = MutableMapping[str, int]
"""Element types by the names of values, those of graphs around included."""

ONNX_DOMAINS = ("", "ai.onnx")
_MOST_PASSES = 32
"""A sorted graph needs one, and one to see that nothing changes."""

_BY_ATTRIBUTE = {
    "Cast": ("to", UNKNOWN),
    "RandomNormal": ("dtype", TensorProto.FLOAT),
    "RandomUniform": ("dtype", TensorProto.FLOAT),
    "Multinomial": ("dtype", TensorProto.INT32),
}
_BY_ATTRIBUTE_OR_INPUT = ("EyeLike", "RandomNormalLike", "RandomUniformLike", "Bernoulli")
_OF_CONSTANTS = {
    "value_int": TensorProto.INT64,
    "value_ints": TensorProto.INT64,
    "value_float": TensorProto.FLOAT,
    "value_floats": TensorProto.FLOAT,
    "value_string": TensorProto.STRING,
    "value_strings": TensorProto.STRING,
}


def element_types(
    graph: GraphProto, opsets: Mapping[str, int], around: Types | None = None
) -> Types:
    """The types of a graph's values, and of those around it."""
    types = ChainMap({}, around or {}) if not isinstance(around, ChainMap) else around.new_child()
    # Inside, a name is another value than around: what is not known of it here is not known.
    types.update({name: UNKNOWN for node in graph.node for name in node.output})
    types.update(_declared(graph))
    for _ in range(_MOST_PASSES):
        found = {
            name: kind
            for node in graph.node
            for name, kind in _made_by(node, opsets, types)
            if name and kind and not types.get(name)
        }
        if not found:
            break
        types.update(found)
    return types


def graphs_in(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs among a node's attributes."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def types_inside(
    node: NodeProto, graph: GraphProto, opsets: Mapping[str, int], types: Types
) -> Types:
    """The types of a graph in a node, whose inputs may be what the node is given."""
    inner = element_types(graph, opsets, types)
    given: Sequence[str] = node.input
    if node.op_type == "Loop":
        given = ["", "", *node.input[2:]]
    for value, name in zip(graph.input, given, strict=False):
        if not inner.get(value.name) and types.get(name):
            inner[value.name] = types[name]
    return element_types(graph, opsets, ChainMap(dict(inner)))


def _declared(graph: GraphProto) -> dict[str, int]:
    declared = {
        value.name: value.type.tensor_type.elem_type
        for value in (*graph.value_info, *graph.output, *graph.input)
        if value.type.tensor_type.elem_type
    }
    return declared | {tensor.name: tensor.data_type for tensor in graph.initializer}


def _made_by(node: NodeProto, opsets: Mapping[str, int], types: Types) -> Iterator[tuple[str, int]]:
    if node.domain in ONNX_DOMAINS and node.op_type in ("If", "Loop", "Scan"):
        yield from _made_inside(node, opsets, types)
        return
    if node.domain in ONNX_DOMAINS and (kind := _said(node, types)):
        yield node.output[0], kind
        return
    domain = "" if node.domain in ONNX_DOMAINS else node.domain
    try:
        schema = onnx.defs.get_schema(node.op_type, opsets.get(domain, 1), domain)
    except onnx.defs.SchemaError:
        return  # not ONNX's: nobody knows
    for place, name in enumerate(node.output):
        yield name, _by_schema(schema, place, node, types)


def _said(node: NodeProto, types: Types) -> int:
    """The type that a node says itself."""
    attributes = {each.name: each for each in node.attribute}
    if node.op_type in _BY_ATTRIBUTE:
        name, default = _BY_ATTRIBUTE[node.op_type]
        return int(attributes[name].i) if name in attributes else default
    if node.op_type in _BY_ATTRIBUTE_OR_INPUT:
        return (
            int(attributes["dtype"].i)
            if "dtype" in attributes
            else types.get(node.input[0], UNKNOWN)
        )
    if node.op_type == "ConstantOfShape":
        return int(attributes["value"].t.data_type) if "value" in attributes else TensorProto.FLOAT
    if node.op_type == "Constant" and "value" in attributes:
        return int(attributes["value"].t.data_type)
    if node.op_type == "Constant":
        return next((kind for name, kind in _OF_CONSTANTS.items() if name in attributes), UNKNOWN)
    return UNKNOWN


def _by_schema(schema: Any, place: int, node: NodeProto, types: Types) -> int:
    if not schema.outputs:
        return UNKNOWN
    text = schema.outputs[min(place, len(schema.outputs) - 1)].type_str
    if text.startswith("tensor("):
        return _number(text)
    for position, name in enumerate(node.input):
        formal = schema.inputs[min(position, len(schema.inputs) - 1)]
        if formal.type_str == text and types.get(name):
            return types[name]
    allowed = [
        each.allowed_type_strs for each in schema.type_constraints if each.type_param_str == text
    ]
    return _number(allowed[0][0]) if allowed and len(allowed[0]) == 1 else UNKNOWN


def _number(text: str) -> int:
    name = text.removeprefix("tensor(").removesuffix(")").upper()
    return NUMBERS.get(name, UNKNOWN)


def _made_inside(
    node: NodeProto, opsets: Mapping[str, int], types: Types
) -> Iterator[tuple[str, int]]:
    for graph in graphs_in(node):
        inner = types_inside(node, graph, opsets, types)
        outputs = list(graph.output)[1 if node.op_type == "Loop" else 0 :]
        for name, value in zip(node.output, outputs, strict=False):
            yield name, inner.get(value.name, UNKNOWN)
