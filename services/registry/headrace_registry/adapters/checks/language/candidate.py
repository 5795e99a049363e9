"""An artifact that may be a version of text: its files, and its graph without the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.datatype_names import Datatype
from headrace.language.graph_ends import LOGITS_TO_KEEP, GraphEnd, GraphEnds
from headrace.state.language_records import LanguageFacts, VersionKind
from headrace.state.records import ServingConfig, Signature
from headrace_registry.adapters.checks.graph_opening import (
    open_session,
    parse_graph,
    refused,
    session_options,
    size_of,
)
from headrace_registry.adapters.checks.graph_signature import declared_datatype, declared_inputs
from headrace_registry.domain.pushes.artifacts import RequestedOptions

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto


@dataclass(frozen=True, slots=True)
class CheckBounds:
    """The bounds of a check: its end, as monotonic time, and the memory that it may take."""

    deadline: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class CheckedText:
    """The findings on a version of text."""

    facts: LanguageFacts
    signature: Signature
    proposed: ServingConfig
    """How it is served where its push does not say."""
    notices: tuple[str, ...] = ()
    """What its pusher should know, a sentence of one line each."""


@dataclass(frozen=True)
class Candidate:
    """An unpacked artifact, and what its push asks for. All that is read from it is read once."""

    folder: Path
    graph_path: str
    asked: RequestedOptions
    libraries: Sequence[Path]
    bounds: CheckBounds

    @property
    def kind(self) -> VersionKind | None:
        """The kind that the push says it is; None: as its files say."""
        return self.asked.kind

    @cached_property
    def names(self) -> frozenset[str]:
        """The paths of all files."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return frozenset(path.relative_to(self.folder).as_posix() for path in files)

    @cached_property
    def size_bytes(self) -> int:
        """The bytes of all files."""
        return size_of(self.folder)

    @cached_property
    def model(self) -> ModelProto:
        """The graph without its external data. Raises InvalidArgument."""
        return parse_graph(self.folder / self.graph_path)

    @cached_property
    def ends(self) -> GraphEnds:
        """Read what the graph takes and gives. Raises InvalidArgument (MODEL_REFUSED)."""
        graph = self.model.graph
        optional = [value for value in graph.input if value.name in LOGITS_TO_KEEP]
        inputs = (*declared_inputs(self.model), *optional)
        return GraphEnds(self._named(inputs), self._named(graph.output))

    def _named(self, values: Iterable[ValueInfoProto]) -> Mapping[str, GraphEnd]:
        found = {value.name: _end(value) for value in values}
        if not all(
            isinstance(name, str) for name in found
        ):  # protobuf gives bytes for what is no text
            path = self.folder / self.graph_path
            raise refused("the name of an input or output is not UTF-8", ValueError(), path)
        return found

    def open(self) -> Any:
        """Return the graph, ready to run. Raises InvalidArgument (MODEL_REFUSED), MemoryError."""
        options = session_options(self.asked.session, self.libraries, self.size_bytes)
        return open_session(self.folder / self.graph_path, options)


Check = Callable[[Candidate], CheckedText]
"""Raises InvalidArgument for what is refused, FailedPrecondition."""
Recogniser = Callable[[Candidate], Check | None]
"""Returns the check of its kind of versions, and None for what is of another."""


def _end(value: ValueInfoProto) -> GraphEnd:
    tensor = value.type.tensor_type
    sizes = (dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim)
    return GraphEnd(_datatype(value), tuple(sizes))


def _datatype(value: ValueInfoProto) -> Datatype | None:
    return declared_datatype(value.type.tensor_type.elem_type)
