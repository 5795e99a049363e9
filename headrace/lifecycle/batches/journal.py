"""The journal of a batch: its plan, and the parts that are finished, each with its digest."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from headrace.errors import AlreadyExists, FailedPrecondition
from headrace.lifecycle.batches.durable import (
    flush_folder,
    flushed_digest,
    full_disk_told,
    write_whole,
)
from headrace.lifecycle.batches.plan import BatchPlan, check_same

_PLAN, _PARTS, _LOCK = "plan.json", "parts.jsonl", "lock"


@dataclass(frozen=True, slots=True)
class Part:
    """A finished part: its place among all, its rows, those that were refused, its file's digest."""

    index: int
    rows: int
    failed: int
    sha256: str
    mark: int | None = None
    """Where the rows behind it begin in the input."""


class Journal:
    """What is finished of a batch, beside its output. Made by `open_journal`, which also ends it."""

    def __init__(self, folder: Path, plan: BatchPlan, parts: dict[int, Part]) -> None:
        self.folder = folder
        self.plan = plan
        self.parts = parts

    @property
    def found(self) -> int:
        """The rows of finished parts."""
        return sum(part.rows for part in self.parts.values())

    def keep(
        self, index: int, rows: int, failed: int, mark: int | None, write: Callable[[Path], None]
    ) -> None:
        """Have `write` write a part's file, and note that it is finished. Raises ResourceExhausted."""
        digest = write_whole(self.path(index), write)
        part = Part(index, rows, failed, digest, mark)
        with full_disk_told(self.folder), (self.folder / _PARTS).open("ab") as file:
            file.write(json.dumps(asdict(part)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.parts[index] = part

    def path(self, index: int) -> Path:
        """The file of a part."""
        return self.folder / f"part-{index:06d}"

    def missing(self) -> Iterator[tuple[int, int | None]]:
        """Yield the first of each run of parts that are not finished, and where it begins in the input.

        Behind the last run all is open: only the input's end says how many parts there are.
        """
        done, index = self.parts, 0
        while True:
            while index in done:
                if done[index].rows < self.plan.rows_per_part:
                    return
                index += 1
            before = done.get(index - 1)
            yield index, before.mark if before else None
            later = [each for each in done if each > index]
            if not later:
                return
            index = min(later)

    def paths(self) -> list[Path]:
        """The files of all parts, in order. Call it when none is missing."""
        return [self.path(index) for index in sorted(self.parts)]

    def remove(self) -> None:
        """Throw it away, as a whole: a kill meanwhile leaves no half of one."""
        gone = self.folder.with_name(f".{self.folder.name}.removed")
        shutil.rmtree(gone, ignore_errors=True)
        self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    @classmethod
    def of(cls, folder: Path, plan: BatchPlan) -> Self:
        """The journal in a folder, begun anew where there is none. Raises FailedPrecondition."""
        path = folder / _PLAN
        if not path.exists():
            text = json.dumps(plan.document(), indent=2)
            write_whole(path, lambda beside: _write_text(beside, text))
            flush_folder(folder.parent)
            return cls(folder, plan, {})
        check_same(json.loads(path.read_text("utf-8")), plan, folder.name)
        return cls(folder, plan, _finished(folder))


@contextmanager
def open_journal(output: Path, plan: BatchPlan, *, restart: bool = False) -> Iterator[Journal]:
    """The journal of an output while inside; nobody else has it meanwhile, and a kill ends that too.

    Raises FailedPrecondition (BATCH_CHANGED, BATCH_RUNNING), AlreadyExists (OUTPUT_EXISTS).
    """
    folder = journal_folder(output)
    if output.exists() and not folder.exists() and not restart:
        raise AlreadyExists(
            "OUTPUT_EXISTS",
            f"{output} is there, and no batch is under way that would go on: --restart replaces it",
        )
    with full_disk_told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with held(folder):
        if restart:
            _clear(folder)
        yield Journal.of(folder, plan)


def journal_folder(output: Path) -> Path:
    """The folder of an output's journal."""
    return output.with_name(f"{output.name}.batch")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Nobody else works in a folder while inside. Raises FailedPrecondition (BATCH_RUNNING)."""
    with (folder / _LOCK).open("ab") as lock:
        try:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FailedPrecondition(
                "BATCH_RUNNING", f"another process works at {folder} now: wait for it, or end it"
            ) from error
        yield


def _clear(folder: Path) -> None:
    (folder / _PLAN).unlink(missing_ok=True)
    (folder / _PARTS).unlink(missing_ok=True)
    for path in folder.glob("part-*"):
        path.unlink()


def _finished(folder: Path) -> dict[int, Part]:
    """The parts that were noted and are what was written; a line that a kill cut off is none."""
    path = folder / _PARTS
    if not path.exists():
        return {}
    whole, found = [], {}
    for line in path.read_bytes().split(b"\n")[:-1]:
        part = _part(line)
        if part is not None and _is_there(folder / f"part-{part.index:06d}", part.sha256):
            found[part.index] = part
            whole.append(line + b"\n")
    write_whole(path, lambda beside: _write_bytes(beside, b"".join(whole)))
    return found


def _part(line: bytes) -> Part | None:
    try:
        return Part(**json.loads(line))
    except (ValueError, TypeError):
        return None


def _is_there(path: Path, sha256: str) -> bool:
    return path.exists() and flushed_digest(path) == sha256


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)
