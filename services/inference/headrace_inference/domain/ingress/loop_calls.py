"""Calls of an event loop whose outcomes are told to them, instead of being waited for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, Protocol, TypeVar

from headrace.errors import HeadraceError
from headrace_inference.domain.ingress.incoming import IncomingRequest
from headrace_inference.domain.ingress.receptions import Names, Reception, Receptions
from headrace_inference.domain.reconciliation.load_waits import LoadWait
from headrace_inference.domain.scheduling.requests import InferenceRequest, ResponsePart

Encoded = TypeVar("Encoded")


class LoopCall(Reception, ABC, Generic[Encoded]):
    """A call from its reception to its end. A wire says how it takes its outcome, on the loop.

    It takes one WHOLE answer, or any number of PARTIAL ones and an END, or an error; an error may follow
    PARTIAL ones. It has ended, and is counted, when it takes the last; a call that left takes nothing.
    """

    __slots__ = ("held_bytes", "holds", "request", "wait")

    def __init__(
        self,
        receptions: Receptions,
        names: Names,
        deadline_ns: int | None = None,
        held_bytes: int = 0,
    ) -> None:
        super().__init__(receptions, names, deadline_ns)
        self.held_bytes = held_bytes
        """The bytes that it holds of the budget, beside its place, while it is open."""
        self.holds = False
        self.request: InferenceRequest | None = None
        """Its request, while that waits or runs."""
        self.wait: LoadWait | None = None
        """Its wait for a load, while it waits for one."""

    @property
    def size_bytes(self) -> int:
        """Return how large its message is."""
        return self.held_bytes

    @abstractmethod
    def take_answer(self, encoded: Encoded, part: ResponsePart) -> None:
        """Take an answer as its wire encoded it."""

    @abstractmethod
    def take_error(self, error: HeadraceError) -> None:
        """Take the error that ended it."""


class Arrival(IncomingRequest, Protocol):
    """A request that came on an event loop, and its call, which does not know it."""

    @property
    def call(self) -> LoopCall[Any]:
        """Whom to tell its outcome."""
