"""`headrace retrain` without --now: what the monitor tells begins a run, once, not for ever."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest

from headrace.client import AsyncClient, Label
from headrace.lifecycle.retraining.journal import Outcome
from tests.e2e.retraining import client_of, journal, outcomes, retrain, serving, written
from tests.suite import RunningSuite, running_suite
from tests.unit.headrace.lifecycle.graphs import linear

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain, pytest.mark.timeout(240)]

BAD = linear([[1.0, -1.0], [-1.0, 1.0]], [0.1, 0.0], "logits")
SETTINGS = {"HEADRACE_ALERT_SECONDS": "0.1", "HEADRACE_LABEL_SHARE": "1"}
RULES = """
[[rules]]
name = "poor"
kind = "quality"
measure = "accuracy"
below = 0.9
min_labels = 20
for = "0s"
"""


async def tell_truths(client: AsyncClient, rows: int) -> None:
    """Answers of the stable version, and what was true: it is wrong in all of them."""
    ids = [str(uuid4()) for _ in range(rows)]
    for each in ids:
        await client.infer("census", {"x": [[4.0, 1.0]]}, request_id=each)
    await client.record_labels("census", [Label(each, "1") for each in ids])


@asynccontextmanager
async def following(suite: RunningSuite, file: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Follow the triggers of a file while inside; SIGTERM ends it as it should."""
    process = await retrain(suite, file, "--json")
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = await process.communicate()
    assert (128 + signal.SIGTERM, b"no run was under way" in said) == (process.returncode, True)


async def next_outcome(process: asyncio.subprocess.Process) -> tuple[str, str]:
    """Why the next run began, and how it ended, as its lines say it."""
    assert process.stdout is not None
    because = ""
    async with asyncio.timeout(120):
        while True:
            event = json.loads(await process.stdout.readline())
            because = event.get("because", because)
            if "outcome" in event:
                return because, str(event["outcome"])


@pytest.mark.parametrize(
    ("trigger", "because"),
    [
        ("{alerts: [quality], pause: 0s, poll: 0.2s}", "alert poor: "),
        pytest.param(
            "{labels: 30, pause: 0s, poll: 0.2s}", "30 labels", marks=pytest.mark.toolchain
        ),
        pytest.param("{every: 1s, pause: 1h, poll: 0.2s}", "every 1s", marks=pytest.mark.toolchain),
    ],
)
async def test_what_begins_a_run(trigger: str, because: str, tmp_path: Path) -> None:
    """An alert that fires, labels that came, time that passed; then it is over, and none begins again."""
    async with (
        running_suite(tmp_path / "suite", environ=SETTINGS) as suite,
        client_of(suite) as client,
    ):
        await client.apply_alert_rules(RULES)
        await client.push("census", BAD)
        await client.wait_until_ready("census", 1, timeout_seconds=60)
        file = written(tmp_path, "good", f"trigger: {trigger}", output="logits")
        async with following(suite, file) as process:
            await tell_truths(client, 30)
            why, outcome = await next_outcome(process)
            assert (True, "promoted") == (why.startswith(because), outcome)
            assert (2, 2) == await serving(client)
        assert [Outcome.PROMOTED] == outcomes(file)


async def test_an_alert_that_goes_on_firing_begins_less_and_less(tmp_path: Path) -> None:
    """What is no better is rejected, says so with its version, and the pause after it doubles."""
    async with (
        running_suite(tmp_path / "suite", environ=SETTINGS) as suite,
        client_of(suite) as client,
    ):
        await client.apply_alert_rules(RULES)
        await client.push("census", BAD)
        await client.wait_until_ready("census", 1, timeout_seconds=60)
        more = '  require: ["accuracy >= 0.9"]\ntrigger: {alerts: [poor], pause: 1s, poll: 0.2s}'
        file = written(tmp_path, "bad", more, output="logits")
        async with following(suite, file) as process:
            await tell_truths(client, 30)
            found = [await next_outcome(process) for _ in range(3)]
        assert ["rejected"] * 3 == [outcome for _, outcome in found]
        runs = list(journal(file).runs.values())
        gaps = [
            later.began_at - earlier.ended.at
            for earlier, later in pairwise(runs)
            if earlier.ended is not None
        ]
        assert (True, True) == (gaps[0] >= 1, gaps[1] >= 2)
        assert 1 == (await client.route("census")).stable
        said = await client.annotations("census", 2)
        assert "rejected" == said.tags["retraining_outcome"]
        assert "accuracy" in said.tags["retraining_reason"]
        assert any(each.path.startswith("evaluation/test.csv/") for each in said.attachments)
