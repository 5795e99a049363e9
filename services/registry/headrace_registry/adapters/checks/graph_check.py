"""Checking an ONNX graph that nobody trusts, and reading its signature.

Runs in the checker's child process: parsing, ONNX Runtime's own optimisations and ONNX's checker can crash,
hang or eat memory on a hostile file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace import errors
from headrace.model_files.changed_graph import ChangedGraph
from headrace.state.records import SessionOptions, Signature
from headrace_registry.adapters.batch_invariance import Prover, analyse, examine
from headrace_registry.adapters.checks.graph_opening import (
    open_session,
    parse_graph,
    refused,
    session_options,
    size_of,
)
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
    model = parse_graph(path)
    changed = ChangedGraph(path, model)
    check_declared(model)
    _check_free_dimensions(asked.free_dimensions, declared_inputs(model))
    loops = has_operator(model, "Loop")
    proof = prove(model)  # before there are threads, for it may fork
    session = open_session(path, session_options(asked, libraries, size_of(folder)))
    signature = changed.complete(_signature(session, model, path))
    opened = Opened(session, signature, loops)
    tried = trial_load(opened)
    proof = replace(proof, obstacle=proof.obstacle or tried.obstacle)
    invariance = examine(model, session, signature, proof)
    return CheckedGraph(signature, invariance, opened, changed.notices, tried.notices)


def _signature(session: Any, model: ModelProto, path: Path) -> Signature:
    try:
        return read_signature(session, model)
    except UnicodeDecodeError as error:
        raise refused("the name of an input or output is not UTF-8", error, path) from error


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
