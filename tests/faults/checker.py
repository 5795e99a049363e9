"""Whether a history can be true: nothing lost, doubled, reordered, reused, stale, or served for another.

Each check is a function from a history and the final state to findings, a sentence each. A history without
findings is no proof; one with a finding is a fault.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from tests.faults.history import FinalState, History, Kind, Operation, Outcome, VersionKey

Check = Callable[[History, FinalState], Iterator[str]]


def check(history: History, final: FinalState) -> list[str]:
    """All findings; none is well."""
    return [finding for each in CHECKS for finding in each(history, final)]


def reused(history: History, _: FinalState) -> Iterator[str]:
    """A number was given to two artifacts, be it before and after the state was restored."""
    given: dict[VersionKey, int] = {}
    for push in history.acknowledged(Kind.PUSH):
        before = given.setdefault(push.key, push.value)
        if before != push.value:
            yield f"number {push.key} was given to artifact {before} and to {push.value}"


def doubled(history: History, final: FinalState) -> Iterator[str]:
    """One push, repeated with its request id, made two versions."""
    made: dict[int, VersionKey] = {}
    for key, value in final.versions.items():
        if value in made:
            yield f"artifact {value} is both {made[value]} and {key}"
        made[value] = key
    told: dict[int, Operation] = {}
    for push in history.acknowledged(Kind.PUSH):
        before = told.setdefault(push.value, push)
        if before.key != push.key and not history.may_be_lost(before.ended):
            yield f"push of {push.value} was told {before.key} and then {push.key}"


def lost(history: History, final: FinalState) -> Iterator[str]:
    """A version was acknowledged, nobody asked for its end, and it is not there."""
    for push in _gone(history, final):
        if not history.may_be_lost(push.ended):
            yield f"version {push.key} (artifact {push.value}) was acknowledged and is gone"


def resurrected(history: History, final: FinalState) -> Iterator[str]:
    """A version whose deletion was acknowledged is there."""
    for deletion in history.acknowledged(Kind.DELETE):
        if deletion.key in final.versions and not history.may_be_lost(deletion.ended):
            yield f"version {deletion.key} was deleted and is there"


def holes(history: History, final: FinalState) -> Iterator[str]:
    """Where the server lost its newest changes, one survived that is newer than one that did not."""
    gone = {push.key for push in _gone(history, final)}
    since = 0.0
    for loss in sorted(history.losses, key=lambda each: each.at):
        between = [
            push for push in history.acknowledged(Kind.PUSH) if since <= push.ended <= loss.at
        ]
        since = loss.at
        first = min((push.revision for push in between if push.key in gone), default=0)
        for push in between:
            if first and push.revision > first and push.key in final.versions:
                yield f"{push.key} at {push.revision} is there, and what was made at {first} is lost"


def other_bytes(history: History, final: FinalState) -> Iterator[str]:
    """A version is not the artifact that was acknowledged under its number, or does not answer as it."""
    known = {push.key: push.value for push in history.acknowledged(Kind.PUSH)}
    for key, value in final.versions.items():
        if known.setdefault(key, value) != value:
            yield f"version {key} was artifact {known[key]} and is {value}"
    for call in history.acknowledged(Kind.INFER):
        if call.value != known.get(call.key, call.value):
            yield f"{call.client} got {call.value} from {call.key}, which adds {known[call.key]}"
    for (replica, key), value in final.answers.items():
        if value != known.get(key, value):
            yield f"{replica} answers {key} with {value}, which adds {known[key]}"


def misled(history: History, final: FinalState) -> Iterator[str]:
    """An alias, moved by one client alone, is where no move of the last known state can have left it."""
    moves: dict[tuple[str, str], list[Operation]] = defaultdict(list)
    for move in history.of(Kind.ALIAS):
        moves[move.model, move.alias].append(move)
    for key, of_alias in moves.items():
        allowed = _possible(history, of_alias)
        if allowed and final.aliases.get(key) not in allowed:
            yield f"alias {key} is at {final.aliases.get(key)}; it can only be at {sorted(allowed)}"


def stale(history: History, _: FinalState) -> Iterator[str]:
    """A list that began after a push was acknowledged does not have its version."""
    ends = _ends(history)
    pushes = defaultdict(list)
    for push in history.acknowledged(Kind.PUSH):
        pushes[push.model].append(push)
    for listing in history.acknowledged(Kind.LIST):
        for push in pushes[listing.model]:
            deleted = push.key in ends and ends[push.key] <= listing.ended
            there = push.ended < listing.started and not deleted
            if there and push.number not in listing.numbers and not history.may_be_lost(push.ended):
                yield f"{listing.client} listed without {push.key}, acknowledged before"


def reordered(history: History, _: FinalState) -> Iterator[str]:
    """A watcher saw a change twice, in another order, or not at all."""
    last: dict[tuple[str, int], int] = {}
    for seen in history.seen:
        stream = (seen.watcher, seen.stream)
        before = last.get(stream)
        if before is not None and seen.revision != before + 1:
            yield f"{seen.watcher} saw revision {seen.revision} after {before}"
        last[stream] = seen.revision


def forked(history: History, _: FinalState) -> Iterator[str]:
    """Two watchers saw different changes at one place of an epoch, or one saw two epochs without a list."""
    told: dict[tuple[str, int], str] = {}
    epochs: dict[tuple[str, int], str] = {}
    for seen in history.seen:
        if told.setdefault((seen.epoch, seen.revision), seen.hash) != seen.hash:
            yield f"revision {seen.revision} of epoch {seen.epoch} was two changes"
        if epochs.setdefault((seen.watcher, seen.stream), seen.epoch) != seen.epoch:
            yield f"{seen.watcher} came to epoch {seen.epoch} without a list"


def missed(history: History, _: FinalState) -> Iterator[str]:
    """A watcher passed the revision of an acknowledged push and saw something else there."""
    told = {push.revision: push for push in history.acknowledged(Kind.PUSH) if not history.losses}
    for seen in history.seen:
        push = told.get(seen.revision)
        if push and seen.resource != f"models/{push.model}/versions/{push.number}":
            yield f"{seen.watcher} saw {seen.kind} of {seen.resource} at {seen.revision}, not {push.key}"


def orphaned(history: History, final: FinalState) -> Iterator[str]:
    """Bytes are there that no version names; after lost history they may be wanted again."""
    if final.stored is not None and not history.losses:
        for value in sorted(final.stored - set(final.versions.values())):
            yield f"artifact {value} is stored, and no version has it"


def bytes_gone(history: History, final: FinalState) -> Iterator[str]:
    """A version is there without its bytes; one that was deleted may come back so from a backup."""
    back = _ends(history) if history.losses else {}
    for key, value in final.versions.items():
        if final.stored is not None and value not in final.stored and key not in back:
            yield f"version {key} is there without its bytes"


CHECKS: tuple[Check, ...] = (
    reused,
    doubled,
    lost,
    resurrected,
    holes,
    other_bytes,
    misled,
    stale,
    reordered,
    forked,
    missed,
    orphaned,
    bytes_gone,
)


def _ends(history: History) -> dict[VersionKey, float]:
    """From when on a version may be gone, since somebody asked for that and was not refused."""
    ends: dict[VersionKey, float] = {}
    for deletion in history.of(Kind.DELETE):
        if deletion.outcome is not Outcome.REFUSED:
            ends[deletion.key] = min(deletion.started, ends.get(deletion.key, deletion.started))
    return ends


def _gone(history: History, final: FinalState) -> list[Operation]:
    ends = _ends(history)
    return [
        push
        for push in history.acknowledged(Kind.PUSH)
        if push.key not in final.versions and push.key not in ends
    ]


def _possible(history: History, moves: list[Operation]) -> set[int]:
    """Where moves by one client, one after the other, can have left an alias; none: anywhere."""
    allowed: set[int] = set()
    for move in moves:
        if move.outcome is Outcome.OK:
            if history.may_be_lost(move.ended):
                return set()
            allowed = {move.number}
        elif move.outcome is Outcome.UNKNOWN and allowed:
            allowed.add(move.number)
    return allowed
