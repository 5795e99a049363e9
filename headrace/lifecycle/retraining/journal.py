"""The journal of retraining: what each run did, on disk before the next step begins.

A file of JSON Lines, one event a line, synced after each. A line that was cut by a kill is left out: its
step begins again. Reading changes nothing: others may look while a run is under way.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

from headrace.errors import DataLoss, Unavailable

_NAME = "journal.jsonl"


class Step(StrEnum):
    """The steps of a run, in their order."""

    TRAIN = "train"
    PUSH = "push"
    EVALUATE = "evaluate"
    GATE = "gate"
    CANARY = "canary"
    OBSERVE = "observe"
    PROMOTE = "promote"


class Outcome(StrEnum):
    """How a run ended."""

    PROMOTED = "promoted"
    REJECTED = "rejected"
    """It did not pass: it was pushed, and never got traffic."""
    TAKEN_BACK = "taken back"
    """Its trial went wrong; the route is as before."""
    FAILED = "failed"
    """A step could not be done."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line: a run begins (`because`), a step begins or ends (`step`), a run ends (`outcome`)."""

    run: str
    at: float
    """Seconds since the Unix epoch."""
    because: str = ""
    step: Step | None = None
    done: bool = False
    outcome: Outcome | None = None
    said: str = ""
    """For people: what came of it."""
    facts: dict[str, str] = {}
    """What later steps need to know, such as the version's number; of a run, which file began it."""


@dataclass(slots=True)
class Run:
    """A run as its events tell it."""

    id: str
    began_at: float
    because: str
    origin: Mapping[str, str] = field(default_factory=dict)
    """What the run was begun from: `model`, `file`, `plan`, the digest of what the file said."""
    done: dict[Step, Event] = field(default_factory=dict)
    begun: Event | None = None
    """The step that was begun and is not done."""
    ended: Event | None = None

    @property
    def facts(self) -> Mapping[str, str]:
        """All that its steps found so far."""
        found: dict[str, str] = {}
        for event in self.done.values():
            found |= event.facts
        return found

    @property
    def next_step(self) -> Step | None:
        """The first step that is not done; None where it ended or all are."""
        if self.ended is not None:
            return None
        return next((step for step in Step if step not in self.done), None)


class Journal:
    """The runs of one retraining, in a folder. Raises DataLoss (JOURNAL_DAMAGED) for what is none."""

    def __init__(self, folder: Path) -> None:
        """Read the journal, if there is one."""
        self.folder = folder
        self.runs: dict[str, Run] = {}
        self._path = folder / _NAME
        self._whole_bytes = 0
        for event in self._read():
            self._take(event)

    @property
    def newest(self) -> Run | None:
        """The run that began last."""
        return next(reversed(self.runs.values()), None)

    @property
    def unfinished(self) -> Run | None:
        """The newest run, where it has not ended."""
        newest = self.newest
        return newest if newest is not None and newest.ended is None else None

    def note(self, event: Event) -> Run:
        """Write an event, and give its run as it is then.

        Raises Unavailable (JOURNAL_UNWRITABLE): nothing is noted then, and nothing half.
        """
        line = msgspec.json.encode(event) + b"\n"
        try:
            self._append(line)
        except OSError as error:
            raise unwritable(self._path, error) from error
        self._whole_bytes += len(line)
        return self._take(event)

    def work_folder(self, run: str) -> Path:
        """The folder of a run's files."""
        return self.folder / run

    def _append(self, line: bytes) -> None:
        """Write a line behind the last whole one: what a kill or a full disk cut off goes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab", buffering=0) as file:
            file.truncate(self._whole_bytes)
            written = file.write(line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())

    def _read(self) -> Iterator[Event]:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return
        self._whole_bytes = data.rfind(b"\n") + 1
        for number, line in enumerate(data[: self._whole_bytes].splitlines(), 1):
            try:
                yield msgspec.json.decode(line, type=Event)
            except (msgspec.MsgspecError, RecursionError) as error:
                raise DataLoss(
                    "JOURNAL_DAMAGED",
                    f"{self._path}, line {number} is no event of a run: {error}; take the line away, or "
                    "name another folder with --state",
                ) from error

    def _take(self, event: Event) -> Run:
        if event.run not in self.runs:
            self.runs[event.run] = Run(event.run, event.at, event.because, dict(event.facts))
        run = self.runs[event.run]
        if event.outcome is not None:
            run.ended, run.begun = event, None
        elif event.step is not None and event.done:
            run.done[event.step], run.begun = event, None
        elif event.step is not None:
            run.begun = event
        return run


def unwritable(path: Path, error: OSError) -> Unavailable:
    """An error of the disk under a journal or a run: it may heal."""
    return Unavailable(
        "JOURNAL_UNWRITABLE",
        f"{path} cannot be written: {error.strerror or error}; what is done is not noted until it can",
    )
