"""Finds the files that hold an ONNX graph's weights, without reading the weights."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from headrace import errors
from headrace.model_files.external_tensors import external_tensors, locations


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
    named = {location for tensor in external_tensors(model) for location in locations(tensor)}
    return {
        PurePosixPath(location).as_posix(): _located(graph, location) for location in sorted(named)
    }


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
