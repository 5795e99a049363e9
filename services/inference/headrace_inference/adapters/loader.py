"""A version from its record to an open, warmed model: fetched, opened, warmed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from headrace.state.records import VersionRecord
from headrace_inference.adapters.artifacts import ArtifactCache
from headrace_inference.domain.labels import label_files
from headrace_inference.domain.runner import Runner

Opened = TypeVar("Opened")
OpenModel = Callable[[Path, VersionRecord], Runner]
"""Opens and warms the graph at a path. Blocks. Raises HeadraceError."""


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

        def open_it() -> Runner:
            labels = read_labels(folder, record)
            runner = self._open_model(folder / record.graph_path, record)
            runner.labels = labels
            return runner

        return await _in_daemon_thread(open_it, record.key)


def read_labels(folder: Path, record: VersionRecord) -> dict[str, list[bytes]]:
    """By output, the names of its classes: one a line, from the version's folder. Raises OSError."""
    files = label_files(record)
    lines = {path: (folder / path).read_bytes().splitlines() for path in set(files.values())}
    return {name: lines[path] for name, path in files.items()}


async def _in_daemon_thread(open_it: Callable[[], Opened], name: str) -> Opened:
    """Run in a thread of its own that does not hold up the end of the process, however long it takes."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Opened] = loop.create_future()

    def settle(value: Opened | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)  # type: ignore[arg-type]  # no error means a value

    def work() -> None:
        try:
            value = open_it()
        except BaseException as error:  # noqa: BLE001  # it reaches whoever awaits
            loop.call_soon_threadsafe(settle, None, error)
        else:
            loop.call_soon_threadsafe(settle, value, None)

    threading.Thread(target=work, name=f"load-{name}", daemon=True).start()
    return await future
