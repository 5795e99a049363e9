"""Declares what an encoder needs of an open graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from headrace_inference.domain.encoding.requests import EncodingRequest
from headrace_inference.domain.scheduling.watchdog import RunHandle

TokenIds = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Texts that run together, one a row, all padded to the same length."""

    token_ids: TokenIds
    lengths: Sequence[int]
    """The tokens of each text; what follows them in its row is padding."""
    token_types: TokenIds | None = None


class TextRunner(Protocol):
    """An open graph that makes vectors of tokens. `run` may be called from several threads at a time."""

    def new_handle(self) -> RunHandle:
        """Make a handle that can end a run begun with it. Only one run at a time may have it."""

    def run(self, batch: TokenBatch, handle: RunHandle) -> npt.NDArray[np.generic]:
        """Return the output for a batch: [texts, tokens, size], or [texts, size]. Raises RunFailed."""


def batch_of(
    texts: Sequence[tuple[EncodingRequest, int]], length: int, pad_token: int
) -> TokenBatch:
    """Lay texts, each a request and a place in it, into rows of a length."""
    token_ids = np.full((len(texts), length), pad_token, np.int64)
    rows = [request.texts[place] for request, place in texts]
    for row, tokens in enumerate(rows):
        token_ids[row, : len(tokens)] = tokens
    return TokenBatch(token_ids, [len(tokens) for tokens in rows], _types(texts, length))


def _types(texts: Sequence[tuple[EncodingRequest, int]], length: int) -> TokenIds | None:
    if all(request.token_types is None for request, _ in texts):
        return None
    types = np.zeros((len(texts), length), np.int64)
    for row, (request, place) in enumerate(texts):
        if request.token_types is not None:
            of_text = request.token_types[place]
            types[row, : len(of_text)] = of_text
    return types
