"""Keeps a replica's versions as the shared state wants them: collect what is, ask the policy, do one thing.

Loads and unloads run as tasks of the reconciler's TaskGroup; blocking parts run in threads. Whenever the
catalog or the set of ready versions moves, a new routing table is published in one assignment. What is done
costs what changed, not what is held: a replica may know very many versions.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from headrace.errors import HeadraceError, Unavailable
from headrace.state.catalog import UNREAD, Catalog
from headrace.state.desired import Key, desired_of
from headrace.state.records import ReplicaVersion, VersionRecord
from headrace_inference.domain.clock import Clock, monotonic_seconds
from headrace_inference.domain.payloads.taking import PayloadTaker
from headrace_inference.domain.reconciliation import load_failures, policy
from headrace_inference.domain.reconciliation.held_versions import HeldVersions
from headrace_inference.domain.reconciliation.lasting_jobs import in_own_thread, keep_running
from headrace_inference.domain.reconciliation.load_slots import LoadPlaces, LoadSlots
from headrace_inference.domain.reconciliation.load_waits import LoadWait
from headrace_inference.domain.reconciliation.policy import VersionState
from headrace_inference.domain.reconciliation.residency import Caps
from headrace_inference.domain.reconciliation.standby import LOAD_WAIT_SECONDS, Standby
from headrace_inference.domain.routing.table import RoutingTable, build_table
from headrace_inference.domain.sampling.sampler import Sampler
from headrace_inference.domain.scheduling.queue_refusals import shutting_down
from headrace_inference.domain.scheduling.runner import Runner
from headrace_inference.domain.scheduling.watchdog import MAX_RUN_SECONDS, RunWatchdog
from headrace_inference.domain.schemas.doors import SchemaDoors
from headrace_inference.domain.versions.identity import is_other
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import StatisticsRegistry

logger = logging.getLogger(__name__)


AHEAD = 64
"""So many versions of the queue are looked at, for one that may begin beside those that load."""


class Loader(Protocol):
    """Brings a version's files here, opens and warms it."""

    async def load(self, record: VersionRecord) -> Runner:
        """The open, warmed model. Raises HeadraceError: Unavailable where trying again makes sense.

        Where it is cancelled, what it does ends soon, and holds no memory.
        """


class VersionReconciler:
    """The versions of this replica, and the routing table that leads to them."""

    def __init__(
        self,
        loader: Loader,
        book: StatisticsRegistry,
        clock: Clock,
        max_loading: int | LoadPlaces,
        max_run_seconds: float = MAX_RUN_SECONDS,
        caps: Caps | None = None,
        load_wait_seconds: float = LOAD_WAIT_SECONDS,
        sampler: Sampler | None = None,
        doors: SchemaDoors | None = None,
        payloads: PayloadTaker | None = None,
    ) -> None:
        self._loader = loader
        self._book = book
        self._sampler = sampler
        self._doors = doors or SchemaDoors()
        self._payloads = payloads
        self.clock = clock
        places = LoadPlaces(max_loading) if isinstance(max_loading, int) else max_loading
        self._slots = LoadSlots(places)
        self._watchdog = RunWatchdog(clock, max_run_seconds)
        self._catalog = UNREAD
        self._held = HeldVersions()
        self.standby = Standby(self._held, caps or Caps(), clock, load_wait_seconds, self._publish)
        self._leaving: set[Key] = set()
        """Those that were ready and were not to be loaded any more when it was last looked."""
        self._loads: dict[Key, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._published = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.table = RoutingTable()
        """The table that answers now; read it once for each request."""
        self.changed = asyncio.Event()
        """Set whenever a version changed its state; whoever tells others clears it."""

    @property
    def loads_on_request(self) -> bool:
        """Tell whether wanted versions that are not loaded are loaded when a request asks for them."""
        return self.standby.is_possible

    @property
    def load_seconds(self) -> Mapping[Key, float]:
        """Return how long fetching, opening and warming took, of every version that is loaded."""
        return self._held.load_seconds

    def want(self, catalog: Catalog) -> None:
        """From now on, hold what this catalog says.

        What is here of a version whose number another one has by now never answers as that.
        """
        touched = catalog.models_differing(self._catalog)
        self._catalog = catalog
        for model in touched:
            for key in self._held.keys_of(model):
                in_queue = (
                    self._held.actual[key] is VersionState.ABSENT
                )  # what it is, is looked up later
                if not in_queue and is_other(self._held.records.get(key), key, catalog):
                    self._drop(key)
        self.standby.follow(catalog, touched)
        for model in touched:
            for key in self._held.keys_of(model):
                if key not in self.standby.ranks:
                    self._leave(key)
        self._publish()

    def _leave(self, key: Key) -> None:
        """A version is not to be loaded any more."""
        if self._held.actual.get(key) is VersionState.ABSENT:
            self._clear(key)
        elif key in self._held.actual:
            self._leaving.add(key)

    def replace_loaded(
        self, catalog: Catalog, opened: Iterable[tuple[VersionRecord, Runner]]
    ) -> None:
        """Hold what this catalog says; these of its versions are open already.

        They replace what has their numbers, in the same moment, and are the reconciler's to close.
        """
        assert self._tasks is not None, "not running"
        held, replaced = self._held, []
        for record, runner in opened:
            key = (record.model, record.number)
            replaced.append(held.served.get(key))
            held.served[key] = self._serve(record, runner, self._tasks)
            held.records[key] = record
            held.reasons[key] = runner.remark
            held.move(key, VersionState.READY)
        self.want(catalog)
        for served in replaced:
            if served is not None:
                self._tasks.create_task(_close(served))

    async def wait_until_settled(self, model: str) -> str:
        """Wait until each wanted version of a model is ready or has failed; why, for those that have.

        Those that stand by are loaded.
        """
        for key in desired_of(self._catalog, model):
            if self.standby.stands_by(key) and key not in self._held.actual:
                self.standby.load(key)
        while True:
            keys = desired_of(self._catalog, model)
            done = (VersionState.READY, VersionState.FAILED)
            actual, reasons = self._held.actual, self._held.reasons
            if all(actual.get(key) in done for key in keys):
                failed = [key for key in keys if actual[key] is VersionState.FAILED]
                return "; ".join(f"version {key[1]}: {reasons[key]}" for key in failed)
            await self._published.wait()

    def summon_soon(self, wait: LoadWait) -> None:
        """Have the version loaded that a request waits for, which is told; from any thread."""
        assert self._loop is not None, "not running"
        self._loop.call_soon_threadsafe(self.standby.summon, wait)

    def dismiss_soon(self, wait: LoadWait) -> None:
        """The caller of a request that waits for a load is gone; from any thread."""
        assert self._loop is not None, "not running"
        self._loop.call_soon_threadsafe(self.standby.dismiss, wait)

    @property
    def next_publication(self) -> asyncio.Event:
        """Is set when the next routing table is there: the catalog or a version's state has moved."""
        return self._published

    @property
    def is_loading(self) -> bool:
        """Tell whether any version is being loaded."""
        return bool(self._loads)

    @property
    def applied_revision(self) -> int:
        """The revision of the catalog that the table was built from."""
        return self.table.catalog.revision

    def settled(self) -> bool:
        """Tell whether every version that is to be loaded is ready or has failed at least once."""
        return not self._held.unsettled

    def versions(self) -> tuple[ReplicaVersion, ...]:
        """Every version that is here, on its way, or failed, with the reason."""
        return self._held.versions()

    def models(self) -> Collection[str]:
        """The models of which any version is here, on its way, or failed."""
        return self._held.models()

    def versions_of(self, model: str) -> tuple[ReplicaVersion, ...]:
        """Return what `versions` has of a model."""
        return self._held.versions_of(model)

    def take_changed(self) -> set[str]:
        """The models whose `versions_of` may be others since this was last called."""
        return self._held.take_changed()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the versions while inside; on leaving, drain and close all of them."""
        self._loop = asyncio.get_running_loop()
        with self._watchdog.watching():
            try:
                async with asyncio.TaskGroup() as tasks:
                    self._tasks = tasks
                    keeping = keep_running("reconciler", functools.partial(self._keep, tasks))
                    loop = tasks.create_task(keeping)
                    try:
                        yield
                    finally:
                        loop.cancel()
                        self.standby.waits.settle_all(shutting_down())
                        for load in list(self._loads.values()):
                            load.cancel()
            finally:
                served, self._held.served = list(self._held.served.values()), {}
                for version in served:
                    await _close(version)

    async def _keep(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            self._wake.clear()
            now, places = monotonic_seconds(self.clock), self._slots.places
            self._slots.let_yield(now)
            for key in self.standby.evict():
                self._leave(key)
            views = self._views()
            action = policy.next_action(views, now, places.loading, places.quick)
            if action is None:
                times = (
                    policy.next_retry(views),
                    self._slots.next_yield(),
                    self.standby.next_look(now),
                    now if self._held.looks_on else None,
                )
                await self._wait(min((at for at in times if at is not None), default=None))
            else:
                self._perform(action, tasks)

    def _views(self) -> list[policy.VersionView]:
        """List what the policy has to look at."""
        held, ranks = self._held, self.standby.ranks
        self._leaving = {key for key in self._leaving if key in held.served and key not in ranks}
        first = self.standby.next_to_load(AHEAD, self._is_quick)
        return [self._view(key) for key in sorted({*held.under_way, *self._leaving, *first})]

    def _view(self, key: Key) -> policy.VersionView:
        held = self._held
        return policy.VersionView(
            key,
            held.actual[key],
            self.standby.ranks.get(key),
            answers=key in self._leaving and self._answers(key),
            retry_at=held.retry_at.get(key),
            quick=self._is_quick(key),
            yielded=key in self._slots.yielded,
        )

    def _is_quick(self, key: Key) -> bool:
        is_here = self._held.actual.get(key) in (VersionState.READY, VersionState.UNLOADING)
        return not is_here and self._slots.is_quick(key, self._catalog)

    def _answers(self, key: Key) -> bool:
        """Tell whether a name that wants another version leads to this one, which nobody wants any more."""
        names = self.table.names.get(key[0])
        leads = names is not None and key[1] in names.effective.values()
        return leads and not self.standby.wants(key)

    async def _wait(self, until: float | None) -> None:
        seconds = None if until is None else max(0.0, until - monotonic_seconds(self.clock))
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def _perform(self, action: policy.Action, tasks: asyncio.TaskGroup) -> None:
        match action:
            case policy.Load(key):
                self._start_load(key, tasks)
            case policy.Unload(key):
                served = self._held.served.pop(key)
                self.standby.measure(key, served.runner.memory_bytes)
                self._move(key, VersionState.UNLOADING)
                tasks.create_task(self._unload(key, served))
            case policy.Abandon(key):
                self._abandon(key)
                self._forget(key)
            case policy.Forget(key):
                self._forget(key)

    def _start_load(self, key: Key, tasks: asyncio.TaskGroup) -> None:
        try:
            record = self._held.records[key] = self._catalog.versions[key]
        except HeadraceError as error:  # its record cannot be read
            self._failed(key, error)
            return
        self._slots.begin(key, monotonic_seconds(self.clock))
        self._move(key, VersionState.LOADING)
        self._loads[key] = tasks.create_task(self._load(key, record, tasks))

    def _abandon(self, key: Key) -> None:
        self._loads.pop(key).cancel()
        self._slots.end(key)
        logger.info("load abandoned", extra={"version": f"{key[0]}/{key[1]}"})

    def _drop(self, key: Key) -> None:
        """Have nothing here of a version whose number is another one's now."""
        assert self._tasks is not None, "not running"
        actual = self._held.actual[key]
        if actual is VersionState.UNLOADING:  # forgotten as soon as that is done
            return
        if actual is VersionState.LOADING:
            self._abandon(key)
        if (served := self._held.served.pop(key, None)) is not None:
            self._tasks.create_task(_close(served))
        facts = {"version": f"{key[0]}/{key[1]}"}
        logger.warning("another version has this number now: it is loaded anew", extra=facts)
        self._held.proven.discard(key)
        self._clear(key)

    async def _load(self, key: Key, record: VersionRecord, tasks: asyncio.TaskGroup) -> None:
        started = monotonic_seconds(self.clock)
        try:
            runner = await self._loader.load(record)
            served = self._serve(record, runner, tasks)
        except HeadraceError as error:
            self._failed(key, error)
            return
        except Exception as error:
            logger.exception("an unexpected error ends a load", extra={"version": record.key})
            self._failed(key, load_failures.unexpected(record, error))
            return
        finally:
            if self._loads.get(key) is asyncio.current_task():
                del self._loads[key]
                self._slots.end(key)
        self._held.served[key] = served
        self._held.attempts.pop(key, None)
        self._held.reasons[key] = runner.remark
        took = monotonic_seconds(self.clock) - started
        seconds = self._held.load_seconds[key] = round(took, 3)
        self._book.of(*key).record_load(round(took * 1e9))
        facts = {"version": record.key, "provider": runner.provider, "seconds": seconds}
        logger.info("version ready", extra=facts)
        self._move(key, VersionState.READY)

    def _serve(
        self, record: VersionRecord, runner: Runner, tasks: asyncio.TaskGroup
    ) -> LoadedVersion:
        key = (record.model, record.number)
        loop = asyncio.get_running_loop()

        def broken(served: LoadedVersion, wrong: str) -> None:
            error = load_failures.broken(record, wrong)
            loop.call_soon_threadsafe(self._retire, tasks, key, served, error)

        def remarked() -> None:
            loop.call_soon_threadsafe(self.tell_anew, key[0])

        book = self._book.of(*key)
        return LoadedVersion(
            record,
            runner,
            book,
            self.clock,
            self._watchdog,
            broken,
            remarked=remarked,
            sampler=self._sampler,
            door=self._doors.of(key),
            payloads=self._payloads,
        )

    def tell_anew(self, model: str) -> None:
        """Have others told of a model again: something else is to be known of it."""
        self._held.tell_anew(model)
        self.changed.set()

    def reopen(self, runner: Runner, error: HeadraceError) -> None:
        """Take a version out of the table whose files are damaged, and open it anew."""
        assert self._tasks is not None, "not running"
        for key, served in list(self._held.served.items()):
            if served.runner is runner:
                self._retire(self._tasks, key, served, error)

    async def renew(self, key: Key, served: LoadedVersion) -> bool:
        """Open a loaded version again, and have it answer instead, from one moment to the next.

        What the old one took it answers. False: the old one stays, or is gone already.
        """
        assert self._tasks is not None, "not running"
        try:
            runner = await self._loader.load(served.record)
        except HeadraceError as error:
            logger.warning("not renewed: %s", error.message, extra={"version": served.record.key})
            return False
        if self._held.served.get(key) is not served:
            await in_own_thread(f"close-{served.record.key}", runner.close)
            return False
        runner.batching_obstacle = runner.batching_obstacle or served.batching_off
        renewed = self._held.served[key] = self._serve(served.record, runner, self._tasks)
        renewed.opened_at = served.opened_at
        self._held.reasons[key] = runner.remark
        self._move(key, VersionState.READY)
        self._tasks.create_task(_close(served))
        return True

    def _retire(
        self, tasks: asyncio.TaskGroup, key: Key, served: LoadedVersion, error: HeadraceError
    ) -> None:
        """Take a version out of the table that must not run any more; its names lead to what they may."""
        if self._held.served.get(key) is not served:
            return
        del self._held.served[key]
        self._held.attempts[key] = 1  # it was settled once: the replica stays ready
        self._move(key, VersionState.UNLOADING)
        tasks.create_task(self._close_retired(key, served, error))

    async def _close_retired(self, key: Key, served: LoadedVersion, error: HeadraceError) -> None:
        await _close(served)
        if key in self._held.served:  # something took its place meanwhile
            return
        if is_other(served.record, key, self._catalog):
            self._forget(key)
        else:
            self._failed(key, error)

    def _failed(self, key: Key, error: HeadraceError) -> None:
        attempts = self._held.attempts[key] = self._held.attempts.get(key, 0) + 1
        self._held.reasons[key] = f"{error.reason}: {error.message}"
        delay = load_failures.retry_delay(attempts)
        again = isinstance(error, Unavailable)
        self._held.retry_at[key] = monotonic_seconds(self.clock) + delay if again else None
        facts = {"version": f"{key[0]}/{key[1]}", "reason": error.reason, "will_retry": again}
        logger.warning("version failed: %s", error.message, extra=facts)
        self._move(key, VersionState.FAILED)

    async def _unload(self, key: Key, served: LoadedVersion) -> None:
        await _close(served)
        logger.info("version unloaded", extra={"version": served.record.key})
        if key not in self._held.served:  # nothing took its place meanwhile
            self._forget(key)

    def _forget(self, key: Key) -> None:
        self._clear(key)
        self._publish()

    def _clear(self, key: Key) -> None:
        self._held.clear(key)
        self.standby.gone(key)
        self._slots.end(key)

    def _move(self, key: Key, actual: VersionState) -> None:
        self._held.move(key, actual)
        self._publish()
        if actual in (VersionState.READY, VersionState.FAILED):
            self.standby.waits.settle(key)

    def _publish(self) -> None:
        held = self._held
        moved, held.moved = held.moved, set()
        ready, states = dict(held.served), dict(held.states)
        self.table = build_table(
            self._catalog, ready, states, self.table, self.standby.stands_by, moved
        )
        self._wake.set()
        self.changed.set()
        self._published.set()
        self._published = asyncio.Event()


async def _close(served: LoadedVersion) -> None:
    """Drain it and give its memory back; what goes wrong with that is the fault of this version alone."""
    try:
        await in_own_thread(f"close-{served.record.key}", served.close)
    except Exception:
        logger.exception("a version was not closed", extra={"version": served.record.key})
