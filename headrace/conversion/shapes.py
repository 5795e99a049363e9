"""The shapes that a serving config declares for tensors: a section of it."""

from __future__ import annotations

from headrace.conversion.ranges import MAX_DIMENSION, MAX_RANK
from headrace.conversion.reading import Reader
from headrace.state.records import DeclaredShape, DeclaredShapes
from headrace.type.v1 import serving_config_pb2
from headrace.type.v1.serving_config_pb2 import ServingConfig as ConfigMessage

_Message = serving_config_pb2.ServingConfig.Shapes


def shapes_to_proto(shapes: DeclaredShapes) -> serving_config_pb2.ServingConfig.Shapes | None:
    """The section as its message; None where nothing is declared."""
    if not shapes.inputs and not shapes.outputs:
        return None
    return _Message(
        inputs={name: _shape_to_proto(each) for name, each in shapes.inputs.items()},
        outputs={name: _shape_to_proto(each) for name, each in shapes.outputs.items()},
    )


def _shape_to_proto(shape: DeclaredShape) -> serving_config_pb2.ServingConfig.Shapes.Shape:
    message = _Message.Shape(dims=shape.dims)
    if shape.graph is not None:
        message.reshape.dims.extend(shape.graph)
        message.reshape.SetInParent()
    return message


def shapes_from_proto(
    reader: Reader, config: ConfigMessage, default: DeclaredShapes, path: str
) -> DeclaredShapes:
    """Return what the config sets, over `default`."""
    if not config.HasField("shapes"):
        return default
    inputs, outputs = (
        {
            name: _shape_from_proto(reader, shapes[name], f"{path}.{kind}[{name[:80]}]")
            for name in sorted(shapes)
        }
        for kind, shapes in (("inputs", config.shapes.inputs), ("outputs", config.shapes.outputs))
    )
    return DeclaredShapes(inputs, outputs)


def _shape_from_proto(
    reader: Reader, proto: ConfigMessage.Shapes.Shape, path: str
) -> DeclaredShape:
    graph = tuple(proto.reshape.dims) if proto.HasField("reshape") else None
    dims = tuple(proto.dims)
    for name, sizes in (("dims", dims), ("reshape.dims", graph or ())):
        reader.in_range(len(sizes), (0, MAX_RANK), f"{path}.{name}", " dimensions")
        for size in sizes:
            reader.in_range(size, (-1, MAX_DIMENSION), f"{path}.{name}")
    return DeclaredShape(dims, graph)
