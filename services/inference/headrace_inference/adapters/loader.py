"""A version from its record to an open, warmed model: fetched, opened, warmed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from headrace.state.records import VersionRecord
from headrace_inference.adapters.artifacts import ArtifactCache
from headrace_inference.domain.labels import label_files
from headrace_inference.domain.runner import Runner

OpenModel = Callable[[Path, VersionRecord, threading.Event], Runner]
"""Opens and warms the graph at a path. Blocks, until soon after the event. Raises HeadraceError."""


class ArtifactLoader:
    """Loads versions from the cache; `in_use` names the digests that the cache must keep."""

    def __init__(
        self, cache: ArtifactCache, open_model: OpenModel, in_use: Callable[[], Iterable[str]]
    ) -> None:
        self._cache = cache
        self._open_model = open_model
        self._in_use = in_use

    async def load(self, record: VersionRecord) -> Runner:
        """The open, warmed model. Raises HeadraceError."""
        folder = await self._cache.fetch(record)
        await self._cache.prune({*self._in_use(), record.digest})
        return await self.open_in(folder, record)

    async def open_in(self, folder: Path, record: VersionRecord) -> Runner:
        """The version whose files are in a folder, open and warmed. Raises HeadraceError."""
        abandoned = threading.Event()

        def open_it() -> Runner:
            labels = read_labels(folder, record)
            runner = self._open_model(folder / record.graph_path, record, abandoned)
            runner.labels = labels
            return runner

        try:
            return await _in_daemon_thread(open_it, record.key)
        except asyncio.CancelledError:
            abandoned.set()
            raise


def read_labels(folder: Path, record: VersionRecord) -> dict[str, list[bytes]]:
    """By output, the names of its classes: one a line, from the version's folder. Raises OSError."""
    files = label_files(record)
    lines = {path: (folder / path).read_bytes().splitlines() for path in set(files.values())}
    return {name: lines[path] for name, path in files.items()}


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
            future.set_exception(error)

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
