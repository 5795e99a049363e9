"""A version from its record to an open, warmed model: fetched, opened, warmed."""

from __future__ import annotations

import asyncio
import functools
import threading
import weakref
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from headrace.errors import Unavailable
from headrace.state.records import VersionRecord
from headrace_inference.adapters.artifact_cache.file_checks import DAMAGED, FileChecks
from headrace_inference.adapters.artifact_cache.leases import CacheLeases
from headrace_inference.adapters.artifact_cache.store import ArtifactCache
from headrace_inference.adapters.runtime.version_files import files_unusable
from headrace_inference.domain.scheduling.runner import Runner
from headrace_inference.domain.versions.class_labels import label_files

OpenModel = Callable[[Path, VersionRecord, threading.Event], Runner]
"""Opens and warms the graph at a path. Blocks, until soon after the event. Raises HeadraceError."""


class ArtifactLoader:
    """Loads versions from the cache, and has them in use there until what was loaded is gone.

    `wanted` names the digests that this replica is going to use. `expect` is told, in any thread, of each
    version whose files are about to be fetched. `check_trust` is asked, in any thread, before each is
    opened.
    """

    def __init__(
        self,
        cache: ArtifactCache,
        open_model: OpenModel,
        leases: CacheLeases,
        checks: FileChecks,
        wanted: Callable[[], Collection[str]],
        expect: Callable[[VersionRecord], None] = lambda _: None,
        check_trust: Callable[[VersionRecord], None] = lambda _: None,
    ) -> None:
        self._cache = cache
        self._open_model = open_model
        self._leases = leases
        self._checks = checks
        self.loaded: weakref.WeakKeyDictionary[Runner, VersionRecord] = weakref.WeakKeyDictionary()
        """What was loaded of the cache and is still there, to be read on the event loop."""
        self._wanted = wanted
        self._expect = expect
        self._check_trust = check_trust

    async def load(self, record: VersionRecord) -> Runner:
        """The open, warmed model. Raises HeadraceError."""
        await self._hold(record.digest)
        release = functools.partial(self._leases.release, record.digest)
        try:
            runner = await self._fetch_and_open(record)
        except OSError as error:
            release()
            raise files_unusable(record, error) from error
        except BaseException:
            release()
            raise
        weakref.finalize(runner, self._leases.release_later, record.digest)
        self.loaded[runner] = record
        return runner

    def is_fetched(self, record: VersionRecord) -> bool:
        """Return whether a version's files were fetched once."""
        return self._cache.has(record)

    async def _hold(self, digest: str) -> None:
        holding = asyncio.ensure_future(asyncio.to_thread(self._leases.hold, digest))
        try:
            await asyncio.shield(holding)
        except asyncio.CancelledError:
            holding.add_done_callback(lambda _: self._leases.release(digest))
            raise

    async def _fetch_and_open(self, record: VersionRecord) -> Runner:
        """Once more where a file is damaged, which shows as it is about to be opened: it is gone then."""
        for may_be_damaged in (True, False):
            if not self._cache.has(record):
                await asyncio.to_thread(self._expect, record)
            await self._cache.make_room(record, self._wanted)
            folder = await self._cache.fetch(record)
            await self._cache.prune(self._wanted)
            try:
                return await self.open_in(folder, record)
            except Unavailable as error:
                if error.reason != DAMAGED or not may_be_damaged:
                    raise
        raise AssertionError

    async def open_in(self, folder: Path, record: VersionRecord) -> Runner:
        """The version whose files are in a folder, open and warmed. Raises HeadraceError."""
        abandoned = threading.Event()

        def open_it() -> Runner:
            self._check_trust(record)
            try:
                self._checks.check(folder, record, files_beside_graph(record))
                labels = read_labels(folder, record)
            except OSError as error:
                raise files_unusable(record, error) from error
            runner = self._open_model(folder / record.graph_path, record, abandoned)
            runner.labels = labels
            return runner

        try:
            return await _in_daemon_thread(open_it, record.key)
        except asyncio.CancelledError:
            abandoned.set()
            raise


def files_beside_graph(record: VersionRecord) -> set[str]:
    """The files that are read whichever graph is opened: labels, and samples to warm it with."""
    samples = record.config.warm_up.samples
    values = {given.file for sample in samples for given in sample.inputs.values()}
    return {*label_files(record).values(), *values} - {""}


def read_labels(folder: Path, record: VersionRecord) -> dict[str, list[bytes]]:
    """By output, the names of its classes: one a line, from the version's folder. Raises OSError."""
    files = label_files(record)
    lines = {path: (folder / path).read_bytes().splitlines() for path in set(files.values())}
    return {name: lines[path] for name, path in files.items()}


def _bearable(error: BaseException) -> Exception:
    """The error as one that a future takes, and that ends no event loop."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")


async def _in_daemon_thread(open_it: Callable[[], Runner], name: str) -> Runner:
    """Run in a thread of its own that does not hold up the end of the process, however long it takes.

    Where nobody awaits it any more, what it opened is closed.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Runner] = loop.create_future()

    def settle(runner: Runner | None, error: BaseException | None) -> None:
        if runner is not None and future.cancelled():
            runner.close()
        elif runner is not None:
            future.set_result(runner)
        elif error is not None and not future.done():
            future.set_exception(_bearable(error))

    def work() -> None:
        runner, failure = None, None
        try:
            runner = open_it()
        except BaseException as error:  # noqa: BLE001  # it reaches whoever awaits
            failure = error
        with suppress(RuntimeError):  # the loop has ended, and the process is about to
            loop.call_soon_threadsafe(settle, runner, failure)

    threading.Thread(target=work, name=f"load-{name}", daemon=True).start()
    try:
        return await future
    except asyncio.CancelledError:
        if future.done() and not future.cancelled() and future.exception() is None:
            future.result().close()  # it was open at the same moment
        raise
