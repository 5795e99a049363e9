"""Declares the open models that generate text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from headrace_inference.domain.generation.model import GenerativeModel
from headrace_inference.domain.scheduling.runner import Runner
from headrace_inference.domain.scheduling.watchdog import RunWatchdog


@runtime_checkable
class GenerativeRunner(Runner, Protocol):
    """An open model that generates. `run` runs no request of callers: it may refuse all."""

    def start(self, watchdog: RunWatchdog, broken: Callable[[str], None]) -> GenerativeModel:
        """Make its engine, once; whoever closes the runner stops that before.

        The watchdog ends steps that take too long, and `broken` is told, on the engine's thread, if it
        cannot run any more.
        """
