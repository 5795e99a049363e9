"""Opens an ONNX graph that nobody trusts: reads it without its weights, and has ONNX Runtime take it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from headrace import errors
from headrace.model_files.external_tensors import external_tensors, locations
from headrace.model_files.foreign_formats import format_of_content, not_onnx
from headrace.onnx_runtime.errors import clean_message, is_plain
from headrace.state.records import GraphOptimization, SessionOptions

if TYPE_CHECKING:
    from onnx import ModelProto

_FATAL_ONLY = 4
LARGE_BYTES = 512 << 20
"""Of an artifact whose weights are not copied into the form that kernels read fastest, for one run."""
_LEVELS = {
    GraphOptimization.DISABLED: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    GraphOptimization.BASIC: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    GraphOptimization.EXTENDED: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    GraphOptimization.ALL: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def parse_graph(path: Path) -> ModelProto:
    """Return a graph without its external data, which lies in files beside it.

    Raises InvalidArgument (MODEL_REFUSED, MODEL_NOT_ONNX, EXTERNAL_DATA_INVALID).
    """
    model = _parsed(path)
    _check_external_data(path.parent, model)
    return model


def _parsed(path: Path) -> ModelProto:
    try:
        return onnx.load_model(path, load_external_data=False)
    except DecodeError as error:
        if found := format_of_content(path):
            raise not_onnx(path.name, found) from error
        raise errors.InvalidArgument(
            "MODEL_REFUSED",
            "the model is not taken: it is not an ONNX file, or only a part of one: export it, or copy "
            "it, again",
        ) from error


def _check_external_data(folder: Path, model: ModelProto) -> None:
    """Every tensor kept outside the graph must be a file of the artifact.

    That also refuses ONNX Runtime's marker for tensors that lie in its own memory.
    """
    for tensor in external_tensors(model):
        named = locations(tensor)
        if len(named) != 1 or not _is_file_inside(folder, named[0]):
            raise errors.InvalidArgument(
                "EXTERNAL_DATA_INVALID",
                f"tensor {tensor.name[:200]!r} lies in {str(named)[:200]}, which is no file of the "
                "artifact: pack the external data beside the graph",
            )


def _is_file_inside(folder: Path, location: str) -> bool:
    path = PurePosixPath(location)
    if path.is_absolute() or ".." in path.parts or "\0" in location:
        return False
    return (folder / path).is_file()


def session_options(asked: SessionOptions, libraries: Sequence[Path], artifact_bytes: int) -> Any:
    """Return what a replica would say of the graph: there it must not fail for the first time.

    Raises FailedPrecondition (CUSTOM_OPERATORS_UNAVAILABLE).
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    options.graph_optimization_level = _LEVELS[asked.graph_optimization]
    for name, size in asked.free_dimensions.items():
        options.add_free_dimension_override_by_name(name, size)
    for library in libraries:
        _add_operators(options, library)
    if artifact_bytes > LARGE_BYTES:  # maps weights, copies none
        options.add_session_config_entry("session.disable_prepacking", "1")
    return options


def _add_operators(options: Any, library: Path) -> None:
    try:
        options.register_custom_ops_library(str(library))
    except Fail as error:
        raise errors.FailedPrecondition(
            "CUSTOM_OPERATORS_UNAVAILABLE",
            f"onnx runtime {onnxruntime.__version__} cannot load {library.name!r} from the folder of the "
            f"registry's setting custom_operators: {_said(error, library.parent)}",
            facts={"setting": "custom_operators", "missing": library.name},
        ) from error


def size_of(folder: Path) -> int:
    """The bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def open_session(path: Path, options: Any) -> Any:
    """Return the graph, ready to run on the CPU. Raises InvalidArgument (MODEL_REFUSED), MemoryError."""
    try:
        return onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        # ONNX Runtime has no common class for its errors; what memory failed is told apart from them.
        if isinstance(error, MemoryError) or "bad_alloc" in str(error) or "allocate" in str(error):
            raise MemoryError(clean_message(str(error))) from error
        what = f"ONNX Runtime {onnxruntime.__version__} refuses {path.name!r}"
        more = "" if is_plain(str(error)) else _checker_on(path)
        raise refused(what, error, path, more) from error


def _checker_on(path: Path) -> str:
    """Return what ONNX's checker has to say of a graph that ONNX Runtime refuses: often it says it better.

    It refuses much that runs, so that it has no other say: unsorted nodes, unknown ranks, missing names.
    """
    try:
        onnx.checker.check_model(str(path), full_check=False)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        return f"; ONNX's checker says: {_said(error, path.parent)}"
    return ""


def refused(what: str, error: Exception, path: Path, more: str = "") -> errors.InvalidArgument:
    """The refusal of a graph, by what somebody else says of it."""
    text = _said(error, path.parent)
    return errors.InvalidArgument("MODEL_REFUSED", f"the model is not taken: {what}: {text}{more}")


def _said(error: Exception, folder: Path) -> str:
    return clean_message(str(error) or type(error).__name__, folder)
