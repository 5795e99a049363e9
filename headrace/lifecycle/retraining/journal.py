"""The journal of retraining: what each run did, on disk before the next step begins.

A file of JSON Lines, one event a line, synced after each. A line that was cut by a kill is left out: its
step begins again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

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
    """What later steps need to know, such as the version's number."""


@dataclass(slots=True)
class Run:
    """A run as its events tell it."""

    id: str
    began_at: float
    because: str
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
    """The runs of one retraining, in a folder."""

    def __init__(self, folder: Path) -> None:
        """Open the journal, and read it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.runs: dict[str, Run] = {}
        self._path = folder / _NAME
        for event in self._read():
            self._take(event)

    @property
    def newest(self) -> Run | None:
        """The run that began last."""
        return next(reversed(self.runs.values()), None)

    def note(self, event: Event) -> Run:
        """Write an event, and give its run as it is then. Raises OSError: nothing is noted then."""
        line = msgspec.json.encode(event) + b"\n"
        with self._path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        return self._take(event)

    def work_folder(self, run: str) -> Path:
        """The folder of a run's files."""
        return self.folder / run

    def _read(self) -> Iterator[Event]:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return
        end = data.rfind(b"\n") + 1
        if end < len(data):  # what a kill cut off: the next line must begin a line
            os.truncate(self._path, end)
        for line in data[:end].splitlines():
            yield msgspec.json.decode(line, type=Event)

    def _take(self, event: Event) -> Run:
        run = self.runs.setdefault(event.run, Run(event.run, event.at, event.because))
        if event.outcome is not None:
            run.ended, run.begun = event, None
        elif event.step is not None and event.done:
            run.done[event.step], run.begun = event, None
        elif event.step is not None:
            run.begun = event
        return run
