"""The note that a registry keeps of the shared state's history, on its own disk.

A file of lines, each with what is new; it is written anew as one line when it has many. Every line is
written before what it says is acknowledged, so it outlives this process. Version numbers are on disk before
they are given out. Points reach the disk within a second: a power cut that takes them together with the
changes of a server that had said they are on disk is not noticed.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from headrace import errors
from headrace.state.codec import decode, encode
from headrace.state.history import Point
from headrace_registry.domain.history.noted_history import Noted

logger = logging.getLogger(__name__)

FOLDER = "history"
SYNC_SECONDS = 1.0
_MAX_LINES = 5_000


class HistoryNote:
    """The note of one namespace in a data folder.

    Raises FailedPrecondition (DATA_UNUSABLE) where there is one that cannot be read.
    """

    def __init__(self, data: Path, namespace: str) -> None:
        self._file = data / FOLDER / f"{namespace}.jsonl"
        self._writing = asyncio.Lock()
        self._lines = 0
        self._unsynced = False
        self._point = Point()
        self._past: frozenset[str] = frozenset()
        self._numbers: dict[str, int] = {}
        self._floors: Mapping[str, int] = {}
        self.problem = ""
        """What keeps it from being written."""
        self._read()

    @property
    def noted(self) -> Noted | None:
        """All that was noted, or None where nothing was."""
        if not self._point.epoch:
            return None
        return Noted(self._point, self._past, MappingProxyType(self._numbers))

    def number_of(self, model: str) -> int:
        """The last version number of a model's name, as it was noted before the state now followed."""
        return self._floors.get(model, 0)

    async def reserve(self, numbers: Mapping[str, int]) -> None:
        """Note that version numbers are about to be given out, durably."""
        await self._add(Noted(numbers=dict(numbers)), durable=True)

    async def reach(self, point: Point, numbers: Mapping[str, int] | None = None) -> None:
        """Note that the state came to a point, if that is after the one noted last."""
        if point != self._point and point.is_after(self._point):
            await self._add(Noted(point, numbers=dict(numbers or {})))

    async def adopt(self, noted: Noted) -> None:
        """Note a state to go on from, durably, in the place of all that was noted."""
        self._past = frozenset()
        self._lines = _MAX_LINES
        await self._add(noted, durable=True)
        self._floors = dict(self._numbers)

    async def keep_synced(self) -> None:
        """Have what was noted on disk within a second, for ever."""
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            if self._unsynced:
                await self._add(Noted(), durable=True)

    def _read(self) -> None:
        """Read what is there. Lines that cannot be read are passed over, with a warning."""
        try:
            lines = self._file.read_bytes().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            lines = []
        except OSError as error:
            raise errors.FailedPrecondition(
                "DATA_UNUSABLE",
                f"cannot read {self._file}, the note of the shared state's history: {error}",
                facts={"path": str(self._file)},
            ) from error
        for line in lines:
            try:
                self._take(decode(Noted, line))
            except errors.DataLoss as error:
                logger.warning("a line of the history's note is passed over: %s", error.message)
        self._lines = _MAX_LINES  # the first line is written to a new file, which is whole

    def _take(self, new: Noted) -> None:
        if new.point.epoch:
            self._point = new.point
        self._past |= new.past
        for name, number in new.numbers.items():
            self._numbers[name] = max(number, self._numbers.get(name, 0))

    async def _add(self, new: Noted, *, durable: bool = False) -> None:
        self._take(new)
        async with self._writing:
            try:
                await asyncio.to_thread(self._write, new, durable=durable)
            except OSError as error:
                self._failed(error)
            else:
                self.problem = ""

    def _write(self, new: Noted, *, durable: bool) -> None:
        if self._lines >= _MAX_LINES:
            self._rewrite()
            return
        with self._file.open("ab") as file:
            if new != Noted():
                file.write(encode(new) + b"\n")
                self._lines += 1
            file.flush()
            self._unsynced = not durable
            if durable:
                os.fdatasync(file.fileno())

    def _rewrite(self) -> None:
        """Write all that was noted as one line, durably."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = self._file.with_suffix(".new")
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(encode(Noted(self._point, self._past, dict(self._numbers))) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        written.replace(self._file)
        folder = os.open(self._file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._lines, self._unsynced = 1, False

    def _failed(self, error: OSError) -> None:
        """Take a failure to write: changes are acknowledged all the same, for they are in the state."""
        if not self.problem:
            logger.error(
                "the note of the shared state's history cannot be written: after a restart it would not be "
                "noticed that the state went back to an older one (%s)",
                error,
            )
        self.problem = str(error)
        self._lines = _MAX_LINES
