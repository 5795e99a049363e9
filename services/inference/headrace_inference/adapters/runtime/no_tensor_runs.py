"""Refuses runs of tensors by what is open for texts."""

from __future__ import annotations

from collections.abc import Sequence

from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.runner import RunFailed
from headrace_inference.domain.scheduling.watchdog import RunHandle


class NoTensorRuns:
    """An open model whose texts go by its engine or its encoder, and never by `run`."""

    def run(
        self,
        inputs: Sequence[Array],  # noqa: ARG002  # as every runner takes them
        handle: RunHandle | None = None,  # noqa: ARG002
    ) -> list[Array]:
        """Refuse: its texts go another way. Raises RunFailed."""
        raise RunFailed("a version of text runs no tensors")

    def run_alone(self, inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        """Refuse likewise. Raises RunFailed."""
        return self.run(inputs, handle)
