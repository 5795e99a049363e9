"""Metrics of a replica's payload log."""

from __future__ import annotations

from collections.abc import Iterator

from headrace_inference.adapters.metrics.text import Family
from headrace_inference.adapters.payload_log import PayloadLog


class PayloadMeter:
    """Reads how many requests were logged, and how many were not."""

    def __init__(self, log: PayloadLog | None) -> None:
        self._log = log

    def families(self) -> Iterator[Family]:
        """Yield the counts, where requests are logged."""
        if self._log is None:
            return
        name = "headrace_inference_payload_records_total"
        text = (
            "Requests chosen for the payload log, by outcome: written, dropped (no room, or the rows of "
            "the second were used up), lost (the file could not be written)"
        )
        family = Family(name, "counter", text)
        for outcome in ("written", "dropped", "lost"):
            family.add(getattr(self._log, outcome), f'outcome="{outcome}"')
        yield family
