"""Taking ZipMap off the end of classifiers, where converters of scikit-learn put it: maps cannot travel.

ZipMap turns each row of probabilities into a map from class to probability. Without it the output is the
plain tensor, and the classes are the names of its columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

OPERATOR, DOMAIN = "ZipMap", "ai.onnx.ml"

_OPSET = 7
"""Of Identity, in a model that names no opset of its own: the first that ONNX Runtime promises to run."""


@dataclass(frozen=True, slots=True)
class ZipMap:
    """A ZipMap that was taken off: the output that it made, and the classes of its columns."""

    output: str
    classes: tuple[str, ...]


def take_off_zip_maps(model: ModelProto) -> tuple[ZipMap, ...]:
    """Change each ZipMap that makes an output of the model so that the output is its input, a tensor.

    The output keeps its name. A ZipMap without classes stays, and one whose maps are used in the model.
    """
    outputs = {value.name: value for value in model.graph.output}
    last = [node for node in model.graph.node if _is_zip_map(node) and node.output[0] in outputs]
    used = set(_used(model.graph)) if last else set()
    taken = [node for node in last if node.output[0] not in used and _classes(node)]
    found = tuple(ZipMap(node.output[0], _classes(node)) for node in taken)
    for node in taken:
        _make_identity(node)
        _make_tensor(outputs[node.output[0]])
    if taken and not any(each.domain in ("", "ai.onnx") for each in model.opset_import):
        model.opset_import.add(domain="", version=_OPSET)
    return found


def without_zip_maps(graph: bytes) -> bytes | None:
    """A graph without the ZipMaps at its end; None where it has none. Bytes that are no graph may raise."""
    if OPERATOR.encode() not in graph:
        return None
    import onnx

    model = onnx.load_from_string(graph)
    return model.SerializeToString() if take_off_zip_maps(model) else None


def declare_columns(model: ModelProto, zip_map: ZipMap) -> None:
    """Declare the shape of an output without its ZipMap: rows, and a column for each class."""
    for value in model.graph.output:
        if value.name == zip_map.output:
            shape = value.type.tensor_type.shape
            shape.dim.add()
            shape.dim.add(dim_value=len(zip_map.classes))


def _is_zip_map(node: NodeProto) -> bool:
    is_one = node.op_type == OPERATOR and node.domain == DOMAIN
    return is_one and len(node.input) == 1 and len(node.output) == 1


def _used(graph: GraphProto) -> Iterator[str]:
    """The names that nodes read, those in graphs inside them, too."""
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _used(inner)
                yield from (value.name for value in inner.output)


def _classes(node: NodeProto) -> tuple[str, ...]:
    by_name = {attribute.name: attribute for attribute in node.attribute}
    if "classlabels_strings" in by_name:
        strings = by_name["classlabels_strings"].strings
        return tuple(text.decode(errors="backslashreplace") for text in strings)
    if "classlabels_int64s" in by_name:
        return tuple(map(str, by_name["classlabels_int64s"].ints))
    return ()


def _make_identity(node: NodeProto) -> None:
    node.op_type, node.domain = "Identity", ""
    del node.attribute[:]


def _make_tensor(value: ValueInfoProto) -> None:
    value.type.Clear()
    value.type.tensor_type.elem_type = 1  # FLOAT, the only type that ZipMap takes
