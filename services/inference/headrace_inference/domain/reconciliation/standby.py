"""The wanted versions that may not be loaded: which are to be, for whom, and in whose place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from headrace.errors import HeadraceError
from headrace.state.catalog import UNREAD, Catalog
from headrace.state.desired import Key, desired_of
from headrace.state.records import QueuePolicy
from headrace_inference.domain.clock import Clock, monotonic_seconds
from headrace_inference.domain.reconciliation import load_waits
from headrace_inference.domain.reconciliation.held_versions import HeldVersions
from headrace_inference.domain.reconciliation.load_waits import LoadWait, LoadWaits
from headrace_inference.domain.reconciliation.policy import VersionState
from headrace_inference.domain.reconciliation.residency import (
    MIN_STAY_SECONDS,
    Caps,
    Residency,
    Resident,
    evictions,
)
from headrace_inference.domain.scheduling.queue_refusals import CALLER_GONE, queue_full
from headrace_inference.domain.versions.identity import record_in
from headrace_inference.domain.versions.loaded_version import LoadedVersion

LOAD_WAIT_SECONDS = 30.0
BLOCKED_SECONDS = 0.05
"""The pause between looks for something to unload, while something waits for its room."""
IDLE_LOOK_SECONDS = 1.0


class Standby:
    """Says what is to be loaded. It belongs to the event loop, but for `stands_by`.

    `changed` is called when something else is to be loaded because of a request.
    """

    def __init__(
        self,
        held: HeldVersions,
        caps: Caps,
        clock: Clock,
        load_wait_seconds: float,
        changed: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._held = held
        self._load_wait_seconds = load_wait_seconds
        self._changed = changed
        self._catalog = UNREAD
        self._residency = Residency(caps, self.size_of)
        self._measured: dict[Key, int] = {}
        self._blocked = False
        self.waits = LoadWaits()
        held.stands_by = self.stands_by

    @property
    def is_possible(self) -> bool:
        """Return whether anything that is wanted is ever not loaded."""
        return self._residency.caps.unloads

    @property
    def ranks(self) -> Mapping[Key, int]:
        """Return what is to be loaded, with the rank in which to load it."""
        return self._residency.ranks

    @property
    def count(self) -> int:
        """Return how many versions stand by."""
        return self._residency.wanted_count - len(self.ranks)

    def wants(self, key: Key) -> bool:
        """Return whether the catalog wants a version, loaded or standing by."""
        return self._residency.wants(key)

    def stands_by(self, key: Key) -> bool:
        """Return whether a version is wanted, not loaded for lack of use, and nothing speaks against it."""
        held = self._held
        return (
            self.is_possible
            and self._residency.wants(key)
            and key not in held.served
            and not held.attempts.get(key)
        )

    def follow(self, catalog: Catalog, touched: Iterable[str]) -> None:
        """Take what the next catalog wants of the models that differ, and queue what is to be loaded."""
        self._catalog = catalog
        if catalog.known:
            self._residency.follow(catalog, touched, monotonic_seconds(self._clock))
        for model in touched:
            self._queue_all(model)

    def _queue_all(self, model: str) -> None:
        for key in desired_of(self._catalog, model):
            self.queue(key)

    def queue(self, key: Key) -> None:
        """Have a version loaded in its turn, if it is to be loaded."""
        if key in self.ranks:
            self._held.queue(key, self.ranks[key])

    def gone(self, key: Key) -> None:
        """Nothing is here of a version any more; if it is to be loaded all the same, that begins anew."""
        self.queue(key)
        if not self.wants(key):
            self._measured.pop(key, None)
            self._held.proven.discard(key)
            self.waits.settle(key)

    async def wait_until_loaded(self, key: Key, received_ns: int, deadline_ns: int | None) -> None:
        """Have a version loaded for a request that came then; return when to look again.

        Raises DeadlineExceeded, Unavailable or ResourceExhausted where that takes too long.
        """
        loaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def tell(error: HeadraceError | None) -> None:
            if loaded.done():
                return
            if error is None:
                loaded.set_result(None)
            else:
                loaded.set_exception(error)

        wait = LoadWait(key, received_ns, deadline_ns, tell)
        self.summon(wait)
        try:
            await loaded
        finally:
            if self.waits.remove(wait):
                self._left(key)

    def summon(self, wait: LoadWait) -> None:
        """Have the version loaded that a request waits for, and tell it."""
        key = wait.key
        if not self.stands_by(key):
            wait.tell(None)  # it is ready, has failed, or went: the table knows
            return
        record = record_in(self._catalog, key)
        most = record.config.queue.max_requests if record else QueuePolicy().max_requests
        if self.waits.count(key) >= most:
            wait.tell(queue_full(f"{key[0]}/{key[1]}", most, wait_ns=0.0))
            return
        seconds = (wait.until_ns(self._load_wait_seconds) - self._clock.monotonic_ns()) / 1e9
        self.waits.add(wait, seconds, self._is_late)
        if self.waits.count(key) == 1:
            self.load(key)

    def load(self, key: Key) -> None:
        """Have a version that stands by loaded before all others."""
        self._residency.summon(key, monotonic_seconds(self._clock))
        self._queue_all(key[0])
        for other in self._held.keys_of(key[0]):
            self._held.unsettled.discard(other)  # what comes on request is no part of the start
        self._changed()

    def _is_late(self, wait: LoadWait) -> None:
        now, key = self._clock.monotonic_ns(), wait.key
        seconds = self._load_wait_seconds
        if wait.ends_by_deadline(seconds):
            wait.tell(load_waits.deadline_passed(key, now - wait.received_ns))
        elif self._held.actual.get(key) is VersionState.ABSENT:
            wait.tell(load_waits.no_room(key, seconds))
        else:
            wait.tell(load_waits.takes_long(key, seconds))
        self._left(key)

    def dismiss(self, wait: LoadWait) -> None:
        """The caller of a request that waits is gone."""
        if self.waits.remove(wait):
            wait.tell(CALLER_GONE)
            self._left(wait.key)

    def _left(self, key: Key) -> None:
        """One waits no more; where nobody does, the load is no longer before all others."""
        if not self.waits.count(key):
            self._residency.dismiss(key)
            self.queue(key)

    def next_to_load(self, most: int, is_quick: Callable[[Key], bool]) -> list[Key]:
        """The first versions for which there is room: of those that load in moments, and of others."""
        queued = self._held.queued(self.ranks, most, is_quick)
        room = self._residency.room(self._loaded_bytes() if self.is_possible else {})
        fit = [key for key in queued if self._residency.has_room(key, room)]
        self._blocked = len(fit) < len(queued)
        return fit

    def next_look(self, now: float) -> float | None:
        """Return when there may be something to do although nothing happens; None: never."""
        if self._blocked:
            return now + BLOCKED_SECONDS
        return now + IDLE_LOOK_SECONDS if self.is_possible else None

    def measure(self, key: Key, memory_bytes: int) -> None:
        """Remember what a version took that is unloaded."""
        self._measured[key] = memory_bytes

    def size_of(self, key: Key) -> int:
        """The memory that a version takes, or will, as far as that is known."""
        if (served := self._held.served.get(key)) is not None:
            return served.runner.memory_bytes
        if key in self._measured:
            return self._measured[key]
        record = self._held.records.get(key) or record_in(self._catalog, key)
        return record.size_bytes + record.config.generation.kv_cache_bytes if record else 0

    def evict(self) -> Sequence[Key]:
        """Decide what is not to be loaded any more, where the caps ask for that."""
        caps, ranks = self._residency.caps, self.ranks
        over = caps.max_versions and len(ranks) > caps.max_versions
        if not (over or caps.max_bytes or caps.idle_seconds):
            return ()
        now = monotonic_seconds(self._clock)
        residents = [one for key in ranks if (one := self._resident(key, now)) is not None]
        evicted = evictions(residents, caps, now)
        for key in evicted:
            self._residency.drop(key)
        return evicted

    def _resident(self, key: Key, now: float) -> Resident | None:
        """Return how a version stands that is to be loaded; None where it failed, and so takes no room."""
        actual, served = self._held.actual.get(key), self._held.served.get(key)
        if actual is VersionState.FAILED:
            return None
        used_at, held = self._residency.admitted_at(key), bool(self.waits.count(key))
        if served is not None:
            used_at = max(used_at, served.last_used)
            held = held or served.in_flight > 0 or self._is_awaited(key, served, now)
        return Resident(
            key,
            self._residency.unit_of(key),
            self.size_of(key),
            used_at,
            held=held or actual is VersionState.LOADING,
            pinned=self._residency.is_pinned(key[0]),
        )

    def _is_awaited(self, key: Key, served: LoadedVersion, now: float) -> bool:
        """Return whether those for whom a version was loaded have yet to come back for it."""
        asked = self._residency.was_summoned(key) and not served.has_answered
        return asked and now - served.opened_at < MIN_STAY_SECONDS

    def _loaded_bytes(self) -> dict[Key, int]:
        """Return what takes memory, and how much."""
        there = (VersionState.LOADING, VersionState.UNLOADING)
        keys = {key for key in self._held.under_way if self._held.actual[key] in there}
        return {key: self.size_of(key) for key in keys | self._held.served.keys()}
