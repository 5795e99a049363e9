"""Where a payload log lies: a folder, or a store of objects. Whoever calls may wait for it."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from headrace import errors
from headrace.service.object_store import ObjectStore, url_problem

_NAME = re.compile(r"payload-(\d{8}T\d{6})\d{6}Z-.+-\d+\.(?:jsonl|parquet)")
_TIME = "%Y%m%dT%H%M%S"
_WRITING = ".writing"
_RETRY_SECONDS = 5.0
"""How long a store of objects is asked again: what waits meanwhile is bounded."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True, order=True)
class LoggedFile:
    """A file of the log. They sort by when they were begun."""

    name: str
    size_bytes: int

    @property
    def began(self) -> float:
        """The seconds of the wall clock when it was begun, as its name says."""
        found = _NAME.fullmatch(self.name)
        assert found, "others are not listed"
        return datetime.strptime(found[1], _TIME).replace(tzinfo=UTC).timestamp()


class Place(Protocol):
    """Files of a log. Methods raise OSError or HeadraceError."""

    def files(self) -> list[LoggedFile]:
        """All files of payload logs there, the oldest first; what else lies there is passed over."""

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""

    def put(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all."""

    def remove(self, names: Sequence[str]) -> None:
        """Remove files; those that are gone are passed over."""


def place_problem(where: str) -> str:
    """Return what is wrong with where a log is to lie; '' for what is right."""
    return url_problem(where) if "://" in where else ""


def open_place(where: str) -> Place:
    """Open a folder, or the URL of a store of objects. Raises FailedPrecondition, InvalidArgument."""
    if "://" not in where:
        return FolderPlace(Path(where))
    problem = place_problem(where)
    if problem:
        raise errors.InvalidArgument("PAYLOAD_LOG_UNREADABLE", problem)
    return ObjectPlace(ObjectStore(where, retry_seconds=_RETRY_SECONDS))


def file_name(began: float, replica: str, number: int, file_format: str) -> str:
    """The name of a file that was begun then, by a replica, which counts its files."""
    moment = datetime.fromtimestamp(began, UTC)
    stamp = f"{moment:{_TIME}}{moment.microsecond:06d}Z"
    return f"payload-{stamp}-{_UNSAFE.sub('_', replica)[:100]}-{number:06d}.{file_format}"


class FolderPlace:
    """A folder; a path of one file is read alone. Files are this account's alone: 0600."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def files(self) -> list[LoggedFile]:
        """As every place."""
        if self._path.is_file():
            return [LoggedFile(self._path.name, self._path.stat().st_size)]
        found = []
        for entry in os.scandir(self._path):
            if _NAME.fullmatch(entry.name):
                try:
                    found.append(LoggedFile(entry.name, entry.stat().st_size))
                except FileNotFoundError:  # another replica removed it
                    continue
        return sorted(found)

    def read(self, name: str) -> bytes:
        """As every place."""
        return (self._path if self._path.is_file() else self._path / name).read_bytes()

    def put(self, name: str, data: bytes) -> None:
        """As every place; the folder is made if it is not there, 0700."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._path / f"{name}{_WRITING}"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(data)
                opened.flush()
                os.fsync(opened.fileno())
            new.replace(self._path / name)
        except OSError:
            new.unlink(missing_ok=True)
            raise

    def remove(self, names: Sequence[str]) -> None:
        """As every place."""
        for name in names:
            (self._path / name).unlink(missing_ok=True)


class ObjectPlace:
    """A store of objects."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def files(self) -> list[LoggedFile]:
        """As every place."""
        found = asyncio.run(self._store.sizes())
        return sorted(LoggedFile(key, size) for key, size in found if _NAME.fullmatch(key))

    def read(self, name: str) -> bytes:
        """As every place."""

        async def whole() -> bytes:
            return b"".join([chunk async for chunk in self._store.read(name)])

        return asyncio.run(whole())

    def put(self, name: str, data: bytes) -> None:
        """As every place."""
        asyncio.run(self._store.put_bytes(name, data))

    def remove(self, names: Sequence[str]) -> None:
        """As every place."""
        if names:
            asyncio.run(self._store.remove(names))
