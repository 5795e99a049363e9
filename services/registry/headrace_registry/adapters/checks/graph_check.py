"""Checking an ONNX graph that nobody trusts, and reading its signature.

Runs in the checker's child process: parsing, ONNX Runtime's own optimisations and ONNX's checker can crash,
hang or eat memory on a hostile file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from headrace import errors
from headrace.model_files.changed_graph import ChangedGraph
from headrace.model_files.external_tensors import external_tensors, locations
from headrace.model_files.foreign_formats import format_of_content, not_onnx
from headrace.onnx_runtime.errors import clean_message, is_plain
from headrace.state.records import GraphOptimization, SessionOptions, Signature
from headrace_registry.adapters.batch_invariance import Prover, analyse, examine
from headrace_registry.adapters.checks.graph_signature import (
    check_declared,
    declared_inputs,
    read_signature,
)
from headrace_registry.adapters.checks.graph_walk import has_operator
from headrace_registry.adapters.checks.trial_run import Opened, Tried
from headrace_registry.domain.decisions.default_config import BatchInvariance

if TYPE_CHECKING:
    from onnx import ModelProto

TryOut = Callable[[Opened], Tried]
"""Runs an opened graph. Raises InvalidArgument."""

_FATAL_ONLY = 4
LARGE_BYTES = 512 << 20
"""Of an artifact whose weights are not copied into the form that kernels read fastest, for one run."""
_LEVELS = {
    GraphOptimization.DISABLED: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    GraphOptimization.BASIC: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    GraphOptimization.EXTENDED: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    GraphOptimization.ALL: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


@dataclass(frozen=True, slots=True)
class CheckedGraph:
    """The check's findings: the signature, and whether rows that run together change one another.

    `opened` is the graph, ready to run; `changes` says what was changed in it.
    """

    signature: Signature
    invariance: BatchInvariance
    opened: Opened = field(compare=False, repr=False)
    changes: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def _not_at_all(_: Opened) -> Tried:
    return Tried()


def check_graph(
    folder: Path,
    graph_path: str,
    asked: SessionOptions | None = None,
    libraries: Sequence[Path] = (),
    *,
    prove: Prover = analyse,
    trial_load: TryOut = _not_at_all,
) -> CheckedGraph:
    """Return the findings on a graph, if ONNX Runtime on the CPU takes it as asked.

    The signature has the sizes of free dimensions that are asked. ZipMaps that make outputs are taken off
    the graph in the folder. `trial_load` is given the opened graph. Raises InvalidArgument (MODEL_REFUSED,
    MODEL_NOT_ONNX, EXTERNAL_DATA_INVALID, DATATYPE_UNSUPPORTED, FREE_DIMENSION_UNKNOWN) and
    FailedPrecondition (CUSTOM_OPERATORS_UNAVAILABLE).
    """
    asked = asked or SessionOptions()
    path = folder / graph_path
    model = _parse(path)
    _check_external_data(folder, model)
    changed = ChangedGraph(path, model)
    check_declared(model)
    _check_free_dimensions(asked.free_dimensions, declared_inputs(model))
    loops = has_operator(model, "Loop")
    proof = prove(model)  # before there are threads, for it may fork
    options = _session_options(asked, libraries)
    if _size(folder) > LARGE_BYTES:
        options.add_session_config_entry(
            "session.disable_prepacking", "1"
        )  # maps weights, copies none
    session = _open_session(path, options)
    signature = changed.complete(_signature(session, model, path))
    opened = Opened(session, signature, loops)
    tried = trial_load(opened)
    proof = replace(proof, obstacle=proof.obstacle or tried.obstacle)
    invariance = examine(model, session, signature, proof)
    return CheckedGraph(signature, invariance, opened, changed.notices, tried.notices)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _signature(session: Any, model: ModelProto, path: Path) -> Signature:
    try:
        return read_signature(session, model)
    except UnicodeDecodeError as error:
        raise _refused("the name of an input or output is not UTF-8", error, path) from error


def _parse(path: Path) -> ModelProto:
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


def _session_options(asked: SessionOptions, libraries: Sequence[Path]) -> Any:
    """Return what a replica would say of the graph: there it must not fail for the first time."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    options.graph_optimization_level = _LEVELS[asked.graph_optimization]
    for name, size in asked.free_dimensions.items():
        options.add_free_dimension_override_by_name(name, size)
    for library in libraries:
        _add_operators(options, library)
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


def _check_free_dimensions(asked: Mapping[str, int], inputs: Iterable[Any]) -> None:
    """Every dimension that gets a size must be a free one of an input, or nobody would notice a typo."""
    shapes = [value.type.tensor_type.shape for value in inputs]
    free = sorted({dim.dim_param for shape in shapes for dim in shape.dim if dim.dim_param})
    unknown = [name for name in asked if name not in free]
    if unknown:
        listed = ", ".join(repr(name[:80]) for name in free[:20]) or "none"
        raise errors.InvalidArgument(
            "FREE_DIMENSION_UNKNOWN",
            f"no free dimension of an input is named {unknown[0][:80]!r}; named ones are: {listed}",
            violations=(
                errors.FieldViolation("serving_config.session.free_dimensions", "named by inputs"),
            ),
        )


def _open_session(path: Path, options: Any) -> Any:
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
        raise _refused(what, error, path, more) from error


def _checker_on(path: Path) -> str:
    """Return what ONNX's checker has to say of a graph that ONNX Runtime refuses: often it says it better.

    It refuses much that runs, so that it has no other say: unsorted nodes, unknown ranks, missing names.
    """
    try:
        onnx.checker.check_model(str(path), full_check=False)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        return f"; ONNX's checker says: {_said(error, path.parent)}"
    return ""


def _refused(what: str, error: Exception, path: Path, more: str = "") -> errors.InvalidArgument:
    text = _said(error, path.parent)
    return errors.InvalidArgument("MODEL_REFUSED", f"the model is not taken: {what}: {text}{more}")


def _said(error: Exception, folder: Path) -> str:
    return clean_message(str(error) or type(error).__name__, folder)


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
