"""Declares what the domain needs of an open model, whatever runs it."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from headrace_inference.domain.scheduling.execution_plan import ExecutionPlan
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.watchdog import RunHandle


class RunFailed(Exception):
    """The runtime refused to run these inputs; the text is the runtime's own."""

    is_fatal = False
    """True where it would refuse any others, too."""


class InputsRefused(RunFailed):
    """The graph cannot run their values or shapes: an index out of range, matrices that do not fit."""


class OutOfMemory(RunFailed):
    """The machine or the device had no room for the run."""


class Runner(Protocol):
    """An open model. `run` may be called from several threads at a time."""

    labels: Mapping[str, Sequence[bytes]]
    """The names of the classes of outputs, where the version has files of them; set by its loader."""

    batching_obstacle: str
    """The reason why its requests cannot share a run, as warming it showed; empty where there is none."""

    @property
    def plan(self) -> ExecutionPlan:
        """Return how it is to be run, where its config leaves that open."""

    @property
    def graph(self) -> str:
        """Name the graph that it runs: `prepared`, as it was optimised and saved, or as it was `pushed`."""

    @property
    def remark(self) -> str:
        """Tell what is unusual about how the version serves; empty where nothing is."""

    @property
    def provider(self) -> str:
        """The execution provider that it got."""

    @property
    def memory_bytes(self) -> int:
        """Return how much the process grew by opening and warming it; 0 if unknown."""

    def new_handle(self) -> RunHandle:
        """Make a handle that can end a run begun with it. Only one run at a time may have it."""

    def run(self, inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        """All outputs for the inputs, both in the signature's order; BYTES as object arrays of str.

        Optional inputs follow the required ones, if any is given: None, or the end, for the others.
        Raises RunFailed, also where the run was ended by its handle.
        """

    def run_alone(self, inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        """The same for a request that comes while nothing else runs: with more threads, if that helps.

        Called while no other run is under way; others may begin at the same moment, or before it ends.
        """

    def rest(self) -> None:
        """Give back what runs took beside the weights: none came for a while. They may come again now."""

    def probe(self) -> str:
        """Repeat the run that it was warmed with: its error; empty where it works, or none is known."""

    def close(self) -> None:
        """Give the memory back. Called once, when no run is under way."""


@runtime_checkable
class StreamingRunner(Runner, Protocol):
    """An open model that answers a request several times, as one that generates text token by token."""

    def stream(
        self, inputs: Sequence[Array], handle: RunHandle | None = None
    ) -> Generator[Sequence[Array], None, None]:
        """Yield the responses to one request, one after the other, each with all outputs.

        Raises RunFailed, also where the run was ended by its handle. It may be left before its end, and is
        closed then.
        """
