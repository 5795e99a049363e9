"""Texts that are to become vectors or scores, and what comes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from headrace.errors import HeadraceError
from headrace.state.language_records import EncodingConfig, LanguageFacts
from headrace_inference.domain.generation.model import TextCodec
from headrace_inference.domain.scheduling.requests import Asked

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EncodingRequest:
    """The token ids of each text (of each pair of query and document), special tokens included."""

    texts: Sequence[Sequence[int]]
    token_types: Sequence[Sequence[int]] | None = None
    """Which part of a pair each token belongs to, where the graph asks for that."""
    priority: int = 0
    """The level of its queue; 0 is the version's default and 1 the highest."""


class EncodingSink(Protocol):
    """Takes the outcome to the caller; called from the thread that ran it, and must not block."""

    def encoded(self, vectors: Vectors) -> None:
        """Take a row for each text: its vector, or its one score."""

    def failed(self, error: HeadraceError) -> None:
        """Take the error that ended the call."""


class EncodingCall:
    """A request on its way through an encoder. Times are monotonic nanoseconds."""

    __slots__ = (
        "asked",
        "cancelled",
        "deadline_ns",
        "received_ns",
        "request",
        "route",
        "sink",
        "started_ns",
    )

    def __init__(
        self,
        request: EncodingRequest,
        sink: EncodingSink,
        route: str,
        received_ns: int,
        deadline_ns: int | None = None,
        asked: Asked | None = None,
    ) -> None:
        self.request = request
        self.sink = sink
        self.asked = asked
        self.route = route
        self.received_ns = received_ns
        self.deadline_ns = deadline_ns
        self.cancelled = False
        self.started_ns = 0


class Encoder(Protocol):
    """Runs the calls of one version, batched by tokens. Whoever opens one stops it."""

    @property
    def waiting(self) -> int:
        """Count the texts that wait."""

    @property
    def busy_ns(self) -> int:
        """Tell how long all its runs took together."""

    def submit(self, call: EncodingCall) -> None:
        """Take a call; its sink is told how it ends. From any thread; never blocks.

        Raises ResourceExhausted (QUEUE_FULL), SchedulerStopped where the version takes no more calls.
        """

    def stop(self) -> None:
        """Take no more calls and finish those that were taken. Blocks until then."""


class PairCodec(TextCodec, Protocol):
    """A tokenizer that also makes pairs."""

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Make tokens of texts, special tokens included. Raises InvalidArgument (TEXT_INVALID)."""

    def encode_pairs(
        self, first: str, seconds: Sequence[str], most_tokens: int = 0, second_tokens: int = 0
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Return the tokens of each pair as one text, and which of the two each belongs to.

        Of pairs over `most_tokens`, unless that is 0, the end of the second text is left out, or where that
        is not enough the end of the first; second texts have `second_tokens` at most, unless that is 0.
        Raises InvalidArgument (TEXT_INVALID).
        """


class EncoderModel(Protocol):
    """A loaded version that embeds or reranks, for wires."""

    @property
    def facts(self) -> LanguageFacts:
        """Return what its files say of it."""

    @property
    def config(self) -> EncodingConfig:
        """Return how it is served."""

    @property
    def codec(self) -> PairCodec:
        """Return its tokenizer."""

    @property
    def encoder(self) -> Encoder:
        """Return what runs its texts."""

    @property
    def end_tokens(self) -> int:
        """Count the special tokens that end each text: they stay where a text is cut."""

    @property
    def dimensions(self) -> Sequence[int]:
        """Return the sizes that its vectors may be cut to; none: they were not trained for that."""
