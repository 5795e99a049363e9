"""Declares the open models that embed and rerank texts."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from headrace_inference.domain.encoding.requests import EncoderModel
from headrace_inference.domain.scheduling.runner import Runner
from headrace_inference.domain.scheduling.watchdog import RunWatchdog


@runtime_checkable
class EncoderRunner(Runner, Protocol):
    """An open model that encodes texts. `run` runs no request of callers: it may refuse all."""

    def start_encoder(self, watchdog: RunWatchdog) -> EncoderModel:
        """Make its encoder, once; whoever closes the runner stops that before.

        The watchdog ends runs that take too long, or that nobody waits for.
        """
