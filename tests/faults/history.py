"""What clients did and what they were told: the only evidence that the checker gets."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

VersionKey = tuple[str, int]


class Kind(enum.StrEnum):
    """What a client asked for."""

    PUSH = "push"
    DELETE = "delete"
    ALIAS = "alias"
    LIST = "list"
    INFER = "infer"


class Outcome(enum.StrEnum):
    """What a client was told: done, refused for good, or nothing that says which."""

    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Operation:
    """One call. Times are seconds of one monotonic clock.

    `value` is what makes a pushed artifact that one (its graph adds it), or what an inference added; 0
    where there is none. `number` is a version's, `numbers` are those of a list. `revision` is that of the
    change, where the answer tells it.
    """

    client: str
    kind: Kind
    model: str
    started: float
    ended: float
    outcome: Outcome
    reason: str = ""
    value: int = 0
    number: int = 0
    revision: int = 0
    alias: str = ""
    numbers: frozenset[int] = frozenset()

    @property
    def ok(self) -> bool:
        """Whether it was acknowledged."""
        return self.outcome is Outcome.OK

    @property
    def key(self) -> VersionKey:
        """The version that it concerns."""
        return self.model, self.number


@dataclass(frozen=True, slots=True)
class Seen:
    """One change as a watcher saw it; `stream` grows whenever a watcher had to list anew."""

    watcher: str
    stream: int
    revision: int
    kind: str
    resource: str
    epoch: str = ""
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Loss:
    """The state's server lost changes that it had acknowledged: those since `since`, or any before `at`."""

    since: float
    at: float


@dataclass(slots=True)
class History:
    """All that happened in one run."""

    operations: list[Operation] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)

    def of(self, kind: Kind) -> Iterator[Operation]:
        """The operations of a kind, in the order in which they ended."""
        return (each for each in self.operations if each.kind is kind)

    def acknowledged(self, kind: Kind) -> Iterator[Operation]:
        """Those that were acknowledged."""
        return (each for each in self.of(kind) if each.ok)

    def may_be_lost(self, ended: float) -> bool:
        """Whether what was acknowledged then may be gone, since the server lost it afterwards."""
        return any(loss.since <= ended <= loss.at for loss in self.losses)

    def summary(self) -> str:
        """Counts, a line for people."""
        told = Counter(f"{each.kind} {each.outcome}" for each in self.operations)
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        operations = ", ".join(f"{count} {name}" for name, count in sorted(told.items()))
        counts = (
            f"{len(self.operations)} operations ({operations}), {len(self.seen)} changes watched"
        )
        return f"{counts}; {faults}"


@dataclass(frozen=True, slots=True)
class FinalState:
    """What is there when all faults are over: versions with the value of their artifact, and aliases."""

    versions: dict[VersionKey, int]
    aliases: dict[tuple[str, str], int]
    answers: dict[tuple[str, VersionKey], int] = field(default_factory=dict)
    """By replica and version: what a call to it added."""
    stored: frozenset[int] | None = None
    """The artifacts whose bytes the registry has; None where nobody looked."""
