"""How the receiving thread waits for the next burst, and how many threads receive for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from headrace_inference.wire.native.receiver import LARGE_BYTES, MAX_BURST, PollBudget, Receiver
from headrace_inference.wire.native.server import io_threads

WINDOW_NS = 100_000


def test_looks_after_a_lone_call_only() -> None:
    """Several calls in flight make better batches when nobody snatches the first of them."""
    budget = PollBudget(WINDOW_NS)
    assert [0, WINDOW_NS, 0, 0] == [budget.after(calls) for calls in (0, 1, 2, 64)]


def test_looks_never_without_a_window() -> None:
    """A window of 0 is the setting that turns it off."""
    assert 0 == PollBudget(0).after(1)


def test_looks_no_more_when_it_does_not_pay() -> None:
    """Callers who take longer than the window cost one look in many, until one pays."""
    budget = PollBudget(WINDOW_NS)
    looks = 0
    for _ in range(PollBudget.TRIES_EVERY * 2):
        if budget.after(1):
            looks += 1
            budget.adjust(found=False)
    assert PollBudget.MOST // 2 + 1 == looks
    budget.adjust(found=True)
    assert WINDOW_NS == budget.after(1)


class Bursts:
    """A source of bursts that are there at once, until it is closed; remembers how it was waited for."""

    def __init__(self, bursts: Sequence[list[str]]) -> None:
        self._bursts = list(bursts)
        self.waits: list[int | None] = []
        self.most: list[int] = []
        self.closed = threading.Event()

    def receive(self, most: int, wait_ms: int | None) -> list[Any] | None:
        self.waits.append(wait_ms)
        self.most.append(most)
        if self._bursts:
            return self._bursts.pop(0)
        if wait_ms is None:
            self.closed.wait()
            return None
        return []


def test_bursts_come_in_order_and_the_thread_ends_with_the_source() -> None:
    """After a lone call it looks without sleeping; else it sleeps until there is something."""
    source = Bursts([["a"], ["b", "c"], ["d"]])
    taken: list[list[str]] = []
    done = threading.Event()

    def take(events: Sequence[str], now_ns: int, single_calls: int) -> None:
        taken.append(list(events))
        if len(taken) == 3:
            done.set()

    async def receive_all() -> None:
        async with Receiver(source.receive, take, len, WINDOW_NS).receiving():
            assert await asyncio.to_thread(done.wait, 10)
            source.closed.set()

    asyncio.run(receive_all())
    assert [["a"], ["b", "c"], ["d"]] == taken
    assert [None, 0, None] == source.waits[:3]


def test_large_messages_are_taken_one_at_a_time() -> None:
    """From the first large one to the next small one, and without polling for what takes long to come."""
    large = "x" * LARGE_BYTES
    source = Bursts([["a", large], [large], ["b"]])
    done = threading.Event()

    def take(events: Sequence[str], now_ns: int, single_calls: int) -> None:
        if events == ["b"]:
            done.set()

    async def receive_all() -> None:
        async with Receiver(source.receive, take, len, WINDOW_NS).receiving():
            assert await asyncio.to_thread(done.wait, 10)
            source.closed.set()

    asyncio.run(receive_all())
    assert [MAX_BURST, 1, 1, MAX_BURST] == source.most[:4]
    assert [None, None, None, 0] == source.waits[:4]


def test_a_thread_that_is_held_up_is_relieved() -> None:
    """The next burst is taken by another thread; the one that was held up takes no more."""
    source = Bursts([["slow"], ["b", "c"], ["d"]])
    takers: dict[str, int] = {}
    done = threading.Event()

    def take(events: Sequence[str], now_ns: int, single_calls: int) -> None:
        takers[events[0]] = threading.get_ident()
        if events[0] == "slow":
            assert done.wait(10)
        elif events[0] == "d":
            done.set()

    async def receive_all() -> None:
        async with Receiver(source.receive, take, len).receiving():
            assert await asyncio.to_thread(done.wait, 10)
            source.closed.set()

    asyncio.run(receive_all())
    assert takers["slow"] != takers["b"] == takers["d"]


def test_without_more_threads_the_one_that_is_held_up_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where none can be started the next burst waits, and is taken."""
    source = Bursts([["slow"], ["b"]])
    taken: list[str] = []
    done, refused = threading.Event(), threading.Event()
    start = Receiver._start

    def start_once(receiver: Receiver[str]) -> None:
        if receiver._threads:
            refused.set()
            raise RuntimeError("can't start new thread")
        start(receiver)

    def take(events: Sequence[str], now_ns: int, single_calls: int) -> None:
        taken.extend(events)
        if events[0] == "slow":
            assert refused.wait(10)
        else:
            done.set()

    async def receive_all() -> None:
        async with Receiver(source.receive, take, len).receiving():
            assert await asyncio.to_thread(done.wait, 10)
            source.closed.set()

    monkeypatch.setattr(Receiver, "_start", start_once)
    asyncio.run(receive_all())
    assert ["slow", "b"] == taken


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (4, 2), (8, 4), (64, 4)])
def test_threads_for_http2(cores: int, threads: int) -> None:
    """Half of the cores are left to models, and most of many."""
    assert threads == io_threads(cores)
