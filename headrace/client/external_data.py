"""Which files an ONNX graph keeps its weights in, read without reading the weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from headrace import errors


def external_files(graph: Path) -> dict[str, Path]:
    """The files that hold the external data of `graph`, by the locations that it gives them.

    They lie beside the graph, or, where `graph` is a link, beside what that leads to.
    A file that is no ONNX graph names none: the registry says what is wrong with it. Raises
    InvalidArgument: EXTERNAL_DATA_UNSAFE for a location outside the graph's folder, EXTERNAL_DATA_MISSING.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(graph, load_external_data=False)
    except DecodeError:
        return {}
    return {
        PurePosixPath(location).as_posix(): _located(graph, location)
        for location in sorted(set(_locations(model)))
    }


def _locations(model: Any) -> Iterator[str]:
    graphs = [model.graph, *(info.initialization for info in model.training_info)]
    for tensor in _tensors_of_nodes(node for function in model.functions for node in function.node):
        yield from _location(tensor)
    for graph in graphs:
        for tensor in _tensors(graph):
            yield from _location(tensor)


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Any) -> Iterator[Any]:
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from _tensors(graph)


def _location(tensor: Any) -> Iterator[str]:
    if tensor.data_location == tensor.EXTERNAL:
        yield from (entry.value for entry in tensor.external_data if entry.key == "location")


def _located(graph: Path, location: str) -> Path:
    path = PurePosixPath(location)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise errors.InvalidArgument(
            "EXTERNAL_DATA_UNSAFE",
            f"{graph} keeps data in {location!r}; external data must lie beside the graph or below it",
        )
    found = [folder / path for folder in (graph.parent, graph.resolve().parent)]
    for file in found:
        if file.is_file():
            return file
    raise errors.InvalidArgument(
        "EXTERNAL_DATA_MISSING",
        f"{graph} keeps data in {location!r}, and there is no such file beside it",
    )
