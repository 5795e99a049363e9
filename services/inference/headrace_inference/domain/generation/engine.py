"""Declares what a version needs of whatever decodes its sequences."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from headrace_inference.domain.generation.requests import GenerationCall


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """The load of an engine."""

    running: int
    """Sequences that decode or whose prompts are being read."""
    waiting: int
    """Sequences that wait for room."""
    kv_tokens: int
    """Tokens whose keys and values are kept for sequences."""
    kv_capacity_tokens: int
    """The most that may be kept."""
    cached_tokens: int = 0
    """Tokens kept for prompts to come; they make room whenever it is needed."""
    busy_ns: int = field(default=0, compare=False)
    """How long its runs took, all of them since it was opened."""


class GenerationEngine(Protocol):
    """Decodes the calls of one version together. Whoever opens one stops it.

    Ours runs on ONNX Runtime; another one, such as onnxruntime-genai's, implements this.
    """

    @property
    def load(self) -> EngineLoad:
        """Tell how busy it is; from any thread."""

    def submit(self, call: GenerationCall) -> None:
        """Take a call; its sink is told how it ends, whatever happens. From any thread; never blocks.

        Raises ResourceExhausted (QUEUE_FULL, KV_CACHE_TOO_SMALL), SchedulerStopped where the version no
        longer takes calls.
        """

    def wake(self) -> None:
        """Look again: a call was cancelled, or a sink is not full any more. From any thread."""

    def stop(self) -> None:
        """Take no more calls and finish those that were taken. Blocks until then."""
