"""Jobs beside what serves begin again after an error that nobody expected."""

from __future__ import annotations

import asyncio
import threading

import pytest

from headrace_inference.domain.reconciliation.lasting_jobs import in_own_thread, keep_running


async def test_a_job_begins_again_until_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    """Each failure is an ERROR with its traceback."""
    outcomes: list[Exception | None] = [KeyError("gone"), ValueError("wrong"), None]

    async def job() -> None:
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    await keep_running("job", job, first_pause_seconds=0.001)
    assert [] == outcomes
    assert ["ERROR", "ERROR"] == [each.levelname for each in caplog.records]
    assert all(each.exc_info for each in caplog.records)


async def test_a_job_that_is_cancelled_ends() -> None:
    """It does not begin again."""
    begun = 0

    async def job() -> None:
        nonlocal begun
        begun += 1
        await asyncio.Event().wait()

    running = asyncio.create_task(keep_running("job", job, first_pause_seconds=0.001))
    await asyncio.wait([running], timeout=0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert 1 == begun


async def test_work_that_blocks_takes_no_thread_of_the_loop() -> None:
    """However much of it there is, what takes moments is done."""
    go_on = threading.Event()
    blocked = [
        asyncio.create_task(in_own_thread(f"blocked-{n}", lambda: assert_set(go_on)))
        for n in range(40)
    ]
    assert 7 == await asyncio.wait_for(asyncio.to_thread(lambda: 7), 10)
    go_on.set()
    await asyncio.gather(*blocked)


def assert_set(event: threading.Event) -> None:
    assert event.wait(10)


async def test_its_error_reaches_who_awaits_it() -> None:
    """As if it had been called."""

    def fail() -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await in_own_thread("failing", fail)
