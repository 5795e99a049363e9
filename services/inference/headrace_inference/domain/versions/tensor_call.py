"""Ties a call of text to the request in tensors that it answers."""

from __future__ import annotations

from headrace_inference.domain.scheduling.requests import InferenceRequest


class TensorCall:
    """A call of one request in tensors: it is left and late when that is."""

    __slots__ = ()

    _asked: InferenceRequest

    @property
    def cancelled(self) -> bool:
        """Tell whether its caller is gone."""
        return self._asked.cancelled

    @cancelled.setter
    def cancelled(self, gone: bool) -> None:
        self._asked.cancelled = self._asked.cancelled or gone

    @property
    def deadline_ns(self) -> int | None:
        """Return until when it is waited for; a caller that leaves late brings that forward."""
        return self._asked.deadline_ns

    @deadline_ns.setter
    def deadline_ns(self, deadline_ns: int | None) -> None:
        """It is the request's already."""
