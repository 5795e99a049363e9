"""Checking an ONNX graph that nobody trusts, and reading its signature.

Runs in the checker's child process: parsing, the ONNX checker and ONNX Runtime's own optimisations can
crash, hang or eat memory on a hostile file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import onnx
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from headrace import errors
from headrace.datatypes import Datatype
from headrace.state.records import GraphOptimization, SessionOptions, Signature, TensorSpec
from headrace_registry.adapters.batch_invariance import Prover, analyse, examine
from headrace_registry.domain.proposal import BatchInvariance

_FATAL_ONLY = 4
_LEVELS = {
    GraphOptimization.DISABLED: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    GraphOptimization.BASIC: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    GraphOptimization.EXTENDED: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    GraphOptimization.ALL: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
_MAX_REASON_CHARACTERS = 500

_DATATYPES: dict[int, Datatype] = {
    onnx.TensorProto.BOOL: Datatype.BOOL,
    onnx.TensorProto.UINT8: Datatype.UINT8,
    onnx.TensorProto.UINT16: Datatype.UINT16,
    onnx.TensorProto.UINT32: Datatype.UINT32,
    onnx.TensorProto.UINT64: Datatype.UINT64,
    onnx.TensorProto.INT8: Datatype.INT8,
    onnx.TensorProto.INT16: Datatype.INT16,
    onnx.TensorProto.INT32: Datatype.INT32,
    onnx.TensorProto.INT64: Datatype.INT64,
    onnx.TensorProto.FLOAT16: Datatype.FP16,
    onnx.TensorProto.FLOAT: Datatype.FP32,
    onnx.TensorProto.DOUBLE: Datatype.FP64,
    onnx.TensorProto.BFLOAT16: Datatype.BF16,
    onnx.TensorProto.STRING: Datatype.BYTES,
}


@dataclass(frozen=True, slots=True)
class CheckedGraph:
    """What the check found: the signature, and whether rows that run together change one another."""

    signature: Signature
    invariance: BatchInvariance


def check_graph(
    folder: Path,
    graph_path: str,
    asked: SessionOptions | None = None,
    libraries: Sequence[Path] = (),
    *,
    prove: Prover = analyse,
) -> CheckedGraph:
    """What is found in the graph, if ONNX's checker and ONNX Runtime on the CPU take it as asked.

    The signature has the sizes of free dimensions that are asked. Raises InvalidArgument (MODEL_REFUSED,
    EXTERNAL_DATA_INVALID, DATATYPE_UNSUPPORTED, FREE_DIMENSION_UNKNOWN) and FailedPrecondition
    (CUSTOM_OPERATORS_UNAVAILABLE).
    """
    asked = asked or SessionOptions()
    path = folder / graph_path
    model = _parse(path)
    _check_external_data(folder, model)
    _check_with_onnx(path)
    declared = _declared(model)
    for value in declared.values():
        _datatype(value)  # ONNX Runtime would refuse some of these too, but not say it so well
    inputs = [declared[value.name] for value in model.graph.input if value.name in declared]
    _check_free_dimensions(asked.free_dimensions, inputs)
    proof = prove(model)  # before there are threads, for it may fork
    session = _open_session(path, _session_options(asked, libraries))
    signature = Signature(
        inputs=tuple(_spec(arg, declared[arg.name]) for arg in session.get_inputs()),
        outputs=tuple(_spec(arg, declared[arg.name]) for arg in session.get_outputs()),
    )
    return CheckedGraph(signature, examine(model, session, signature, proof))


def _parse(path: Path) -> Any:
    from google.protobuf.message import DecodeError

    try:
        return onnx.load_model(path, load_external_data=False)
    except DecodeError as error:
        raise _refused("it is no ONNX file", error, path) from error


def _check_with_onnx(path: Path) -> None:
    try:
        onnx.checker.check_model(str(path), full_check=False)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise _refused("the ONNX checker refuses it", error, path) from error


def _session_options(asked: SessionOptions, libraries: Sequence[Path]) -> Any:
    """What a replica would say of the graph: there it must not fail for the first time."""
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
            raise MemoryError(str(error)[:_MAX_REASON_CHARACTERS]) from error
        raise _refused("ONNX Runtime refuses it", error, path) from error


def _refused(what: str, error: Exception, path: Path) -> errors.InvalidArgument:
    text = _said(error, path.parent)
    return errors.InvalidArgument("MODEL_REFUSED", f"the model is not taken: {what}: {text}")


def _said(error: Exception, folder: Path) -> str:
    """What an error says, in one line; where the artifact lies on this machine is nobody's business."""
    text = " ".join(str(error).split())
    for place in (folder, folder.resolve()):
        text = text.replace(f"{place}{os.sep}", "").replace(str(place), ".")
    return text[:_MAX_REASON_CHARACTERS]


def _check_external_data(folder: Path, model: Any) -> None:
    """Every tensor kept outside the graph must be a file of the artifact.

    That also refuses ONNX Runtime's marker for tensors that lie in its own memory.
    """
    for tensor in _tensors_of_model(model):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        locations = [entry.value for entry in tensor.external_data if entry.key == "location"]
        if len(locations) != 1 or not _is_file_inside(folder, locations[0]):
            raise errors.InvalidArgument(
                "EXTERNAL_DATA_INVALID",
                f"tensor {tensor.name[:200]!r} lies in {str(locations)[:200]}, which is no file of the "
                "artifact: pack the external data beside the graph",
            )


def _is_file_inside(folder: Path, location: str) -> bool:
    path = PurePosixPath(location)
    if path.is_absolute() or ".." in path.parts or "\0" in location:
        return False
    return (folder / path).is_file()


def _tensors_of_model(model: Any) -> Iterator[Any]:
    yield from _tensors_of_graph(model.graph)
    for function in model.functions:
        yield from _tensors_of_nodes(function.node)
    for training in model.training_info:
        yield from _tensors_of_graph(training.initialization)
        yield from _tensors_of_graph(training.algorithm)


def _tensors_of_graph(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for graph in (attribute.g, *attribute.graphs):
                yield from _tensors_of_graph(graph)


def _declared(model: Any) -> dict[str, Any]:
    """Every input and output that a request sees, as declared; initializers are no inputs."""
    initialized = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initialized]
    return {value.name: value for value in (*inputs, *model.graph.output)}


def _datatype(value: Any) -> Datatype:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise _unsupported(value.name, f"is a {(kind or 'value of no').removesuffix('_type')} type")
    number = value.type.tensor_type.elem_type
    datatype = _DATATYPES.get(number)
    if datatype is None:
        names = {number: name for name, number in onnx.TensorProto.DataType.items()}
        raise _unsupported(value.name, f"has elements of type {names.get(number, number)}")
    return datatype


def _unsupported(name: str, what: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "DATATYPE_UNSUPPORTED",
        f"{name[:200]!r} {what}, which cannot travel: inputs and outputs must be tensors of "
        f"{', '.join(Datatype)}",
    )


def _spec(arg: Any, declared: Any) -> TensorSpec:
    """A tensor as ONNX Runtime sees it, for shapes that it inferred are better than those declared.

    That there is a shape the ONNX checker has made sure of, so none here is a scalar's.
    """
    return TensorSpec(
        name=arg.name,
        datatype=_datatype(declared),
        shape=tuple(dim if isinstance(dim, int) and dim >= 0 else -1 for dim in arg.shape),
        dim_names=tuple(dim if isinstance(dim, str) else "" for dim in arg.shape),
    )
