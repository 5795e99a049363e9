"""Declares the open models that generate text."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from headrace_inference.domain.generation.model import GenerativeModel
from headrace_inference.domain.scheduling.runner import Runner


@runtime_checkable
class GenerativeRunner(Runner, Protocol):
    """An open model whose engine decodes. `run` runs no request of callers: it may refuse all.

    `probe` generates a token or two. Whoever closes it has stopped its engine before.
    """

    @property
    def generative(self) -> GenerativeModel:
        """Return what wires need of it, with its engine."""
