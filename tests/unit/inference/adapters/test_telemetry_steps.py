"""What counting many versions leaves to others on the event loop."""

from __future__ import annotations

import asyncio

import numpy as np

from headrace_inference.adapters.telemetry import COUNTED_TOGETHER, TelemetryBuffer
from headrace_inference.domain.scheduling.requests import InferenceRequest
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from tests.unit.inference.doubles import RecordingSink, header, served, version

VERSIONS = 10 * COUNTED_TOGETHER


async def test_others_have_turns_while_many_versions_are_counted() -> None:
    """Between a few versions and the next few; and the report has every request, once."""
    book = StatisticsRegistry()
    loaded = served(version())
    plan = loaded.plan_request([header()], ())
    loaded.close()
    for number in range(VERSIONS):
        counters = book.of(f"m{number}", 1)
        values = [np.ones((1, 2), np.float32)]
        request = InferenceRequest(
            plan, values, "stable", 10, None, counters, RecordingSink(), number
        )
        counters.record_run([request], 1, (20, 30, 40, 50))
    buffer = TelemetryBuffer("r", book, 10)

    counting = asyncio.ensure_future(buffer.count_ahead())
    turns = 0
    while not counting.done():
        turns += 1
        await asyncio.sleep(0)
    buffer.collect()

    assert turns >= VERSIONS // COUNTED_TOGETHER
    told = [one.success_count for report in buffer.after(0) for one in report.versions]
    assert [1] * VERSIONS == told
