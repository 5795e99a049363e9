"""Declares the open models that embed and rerank texts."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from headrace_inference.domain.encoding.requests import EncoderModel
from headrace_inference.domain.scheduling.runner import Runner


@runtime_checkable
class EncoderRunner(Runner, Protocol):
    """An open model whose encoder runs texts. `run` runs no request of callers: it may refuse all.

    `probe` encodes a token or two. Whoever closes it has stopped its encoder before.
    """

    @property
    def text_encoder(self) -> EncoderModel:
        """Return what wires need of it, with its encoder."""
