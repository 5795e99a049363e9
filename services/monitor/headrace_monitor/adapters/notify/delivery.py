"""Delivers what waits for receivers: each in its own order, tried again ever less often."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

from headrace import errors
from headrace.alert_rules.receivers import AnyReceiver
from headrace.service.serving import Background, open_background
from headrace_monitor.adapters.notify.posting import NotSentError
from headrace_monitor.adapters.notify.senders import Senders
from headrace_monitor.domain.alerts.alert_book import AlertBook
from headrace_monitor.domain.alerts.alerts import Alert, Level, Observation, State, Subject, id_of
from headrace_monitor.domain.alerts.notifications import Notification
from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.ingestion.ingestion import Ingestion

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0
_THREADS = 4
_TEST = "test"


@dataclass(slots=True)
class Health:
    """How it goes with a receiver."""

    problem: str = ""
    delivered_ns: int = 0
    failures: int = 0
    """One after the other, since it took something."""
    due: float = 0.0
    """When it may be tried again, by the loop's time."""
    is_busy: bool = False


class Delivery:
    """Sends what the book has waiting. A receiver that hangs keeps one thread, and the others go on."""

    def __init__(
        self,
        book: AlertBook,
        ingestion: Ingestion,
        senders: Senders,
        clock: Clock,
        threads: Executor,
        jobs: Background,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self._book = book
        self._ingestion = ingestion
        self._senders = senders
        self._clock = clock
        self._threads = threads
        self._jobs = jobs
        self._first_pause_seconds = first_pause_seconds
        self._taken: set[str] = set()
        """What was sent, and could not be stored as sent yet."""
        self._wake = asyncio.Event()
        self.health: dict[str, Health] = {}

    def wake(self) -> None:
        """Look for something to send."""
        self._wake.set()

    async def run(self) -> None:
        """Send what waits, for ever."""
        while True:
            self._wake.clear()
            self._begin_what_is_due()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._next_due()):
                    await self._wake.wait()

    async def test(self, receiver: AnyReceiver) -> str:
        """Send a notification that says that it is a test; gives why it was not taken, '' where it was."""
        return await self._try(receiver, _test_notification(receiver.name, self._clock))

    def _begin_what_is_due(self) -> None:
        now = asyncio.get_running_loop().time()
        receivers = {each.name: each for each in self._book.in_force.rules.receivers}
        for each in self._book.waiting.values():
            health = self.health.setdefault(each.receiver, Health())
            receiver = receivers.get(each.receiver)
            if receiver is not None and not health.is_busy and health.due <= now:
                health.is_busy = True
                self._jobs.run(self._deliver(receiver, each, health))

    def _next_due(self) -> float | None:
        waiting = {each.receiver for each in self._book.waiting.values()}
        due = [
            health.due
            for name, health in self.health.items()
            if name in waiting and not health.is_busy
        ]
        return min(due, default=None)

    async def _deliver(
        self, receiver: AnyReceiver, notification: Notification, health: Health
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            known = notification.id in self._taken
            problem = "" if known else await self._try(receiver, notification)
            if not problem:
                self._taken.add(notification.id)
                await self._ingestion.apply(lambda: self._book.sent(notification))
                self._taken.discard(notification.id)
            health.failures = health.failures + 1 if problem else 0
            if problem:
                count = self._book.count
                await self._ingestion.apply(lambda: count(receiver.name, "failed"))
        except (errors.Unavailable, errors.ResourceExhausted):
            health.failures += 1  # what became of it could not be stored
        finally:
            health.is_busy = False
            pause = self._first_pause_seconds * 2 ** min(health.failures - 1, 20)
            wait = min(pause, LONGEST_PAUSE_SECONDS) if health.failures else 0.0
            health.due = loop.time() + wait
            self._wake.set()

    async def _try(self, receiver: AnyReceiver, notification: Notification) -> str:
        health = self.health.setdefault(receiver.name, Health())
        now_ns = self._clock().now_ns
        work: Callable[[], None] = lambda: self._senders.send(receiver, notification, now_ns)  # noqa: E731
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except Exception as error:
            if not isinstance(error, NotSentError):  # a fault of ours, or of a library's
                logger.exception("a notification failed", extra={"receiver": receiver.name})
            if health.problem != str(error):
                logger.warning(
                    "a receiver did not take a notification: %s",
                    error,
                    extra={"receiver": receiver.name},
                )
            health.problem = str(error)
            return health.problem
        health.delivered_ns, health.problem = now_ns, ""
        return ""


@asynccontextmanager
async def open_delivery(
    book: AlertBook,
    ingestion: Ingestion,
    senders: Senders,
    clock: Clock,
    first_pause_seconds: float = FIRST_PAUSE_SECONDS,
) -> AsyncIterator[Delivery]:
    """What delivers while inside; what still waits is there after a restart."""
    with ThreadPoolExecutor(_THREADS, "notify") as threads:
        async with open_background() as jobs:
            delivery = Delivery(book, ingestion, senders, clock, threads, jobs, first_pause_seconds)
            jobs.run(delivery.run())
            try:
                yield delivery
            finally:
                senders.connections.shut()  # else a receiver that hangs would hold the stop


def _test_notification(receiver: str, clock: Clock) -> Notification:
    moment = clock()
    seen = Observation(Subject(), Level.OVER, finding="this is a test: nothing is wrong")
    alert = Alert(
        id_of(_TEST, Subject()),
        _TEST,
        _TEST,
        "info",
        State.FIRING,
        "Nothing: somebody asked for a test of this receiver.",
        seen,
        moment.now_ns,
        moment.steady_ns,
        moment.now_ns,
        0.0,
        fire_ns=moment.now_ns,
    )
    name = f"test-{uuid4().hex[:12]}"
    times = moment.now_ns, moment.steady_ns
    return Notification(name, receiver, _TEST, "", (alert,), *times, is_test=True)
