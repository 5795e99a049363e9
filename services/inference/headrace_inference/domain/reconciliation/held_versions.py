"""Records what a replica has of each version, and its state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from headrace.state.desired import Key
from headrace.state.records import LoadState, ReplicaVersion, VersionRecord
from headrace_inference.domain.reconciliation.load_queue import LoadQueue
from headrace_inference.domain.reconciliation.policy import VersionState
from headrace_inference.domain.versions.loaded_version import LoadedVersion

STANDBY = "standby: the next request has it loaded, or waits for that"
"""The reason that is shown of a version that is ready without being loaded."""

_QUEUED = "it waits for its turn to be loaded"

_DIGEST_LENGTH = 16
"""Of a digest, so much tells versions of one number apart."""

_LOAD_STATES = {
    VersionState.ABSENT: LoadState.LOADING,
    VersionState.LOADING: LoadState.LOADING,
    VersionState.READY: LoadState.READY,
    VersionState.UNLOADING: LoadState.UNLOADING,
    VersionState.FAILED: LoadState.UNAVAILABLE,
}


class HeldVersions:
    """Every version that is here, in the queue to be loaded (ABSENT), on its way, or failed."""

    def __init__(self) -> None:
        self.actual: dict[Key, VersionState] = {}
        self.states: dict[Key, tuple[LoadState, str]] = {}
        """The same as callers see it, with the reason."""
        self.records: dict[Key, VersionRecord] = {}
        """The version that stands there, once its load began."""
        self.served: dict[Key, LoadedVersion] = {}
        self.reasons: dict[Key, str] = {}
        self.retry_at: dict[Key, float | None] = {}
        self.attempts: dict[Key, int] = {}
        self.load_seconds: dict[Key, float] = {}
        self.moved: set[str] = set()
        """The models whose names may lead elsewhere; whoever resolves them clears it."""
        self.unsettled: set[Key] = set()
        """Those that were neither ready nor failed yet."""
        self.proven: set[Key] = set()
        """Those that were loaded here once and have not failed since, loaded or not."""
        self.stands_by: Callable[[Key], bool] = lambda _: False
        """Tells whether a version that is not ready is loaded when a request asks for it."""
        self.under_way: set[Key] = set()
        """Those that are neither in the queue nor ready."""
        self._queue = LoadQueue()
        self._numbers: dict[str, set[int]] = {}
        self._changed: set[str] = set()

    def move(self, key: Key, actual: VersionState) -> None:
        """A version moved."""
        before = self.actual.get(key)
        self.actual[key] = actual
        self.states[key] = (_LOAD_STATES[actual], self._state_reason(key, actual))
        if before is None:
            self._numbers.setdefault(key[0], set()).add(key[1])
            self.unsettled.add(key)
        if actual in (VersionState.READY, VersionState.FAILED):
            self.unsettled.discard(key)
        if actual is VersionState.READY:
            self.proven.add(key)
        elif actual is VersionState.FAILED:
            self.proven.discard(key)
        if actual in (VersionState.ABSENT, VersionState.READY):
            self.under_way.discard(key)
        else:
            self.under_way.add(key)
        self._note(key)

    def queue(self, key: Key, rank: int) -> None:
        """A version that is not here is to be loaded, or at another rank."""
        if key not in self.actual:
            self.move(key, VersionState.ABSENT)
        if self.actual[key] is VersionState.ABSENT:
            self._queue.add(key, rank)

    def queued(
        self, ranks: Mapping[Key, int], most: int, is_quick: Callable[[Key], bool]
    ) -> list[Key]:
        """The first versions in the queue by these ranks: of those that load in moments, and of others."""

        def waits(rank: int, key: Key) -> bool:
            return ranks.get(key) == rank and self.actual.get(key) is VersionState.ABSENT

        return self._queue.first(most, waits, is_quick)

    @property
    def looks_on(self) -> bool:
        """Return whether the queue may have quick versions behind those that were looked at."""
        return self._queue.looks_on

    def clear(self, key: Key) -> None:
        """Nothing is here of a version any more."""
        for known in (
            self.actual,
            self.states,
            self.records,
            self.reasons,
            self.retry_at,
            self.attempts,
            self.load_seconds,
        ):
            known.pop(key, None)
        self.unsettled.discard(key)
        self.under_way.discard(key)
        numbers = self._numbers.get(key[0], set())
        numbers.discard(key[1])
        if not numbers:
            self._numbers.pop(key[0], None)
        self._note(key)

    def tell_anew(self, model: str) -> None:
        """Something else is to be told of a model."""
        self._changed.add(model)

    def _note(self, key: Key) -> None:
        self._changed.add(key[0])
        self.moved.add(key[0])

    def keys_of(self, model: str) -> list[Key]:
        """The versions of a model that are held, by number."""
        return [(model, number) for number in sorted(self._numbers.get(model, ()))]

    def versions(self) -> tuple[ReplicaVersion, ...]:
        """All that is held, with the reason where it is not ready."""
        return tuple(self._replica_version(key) for key in sorted(self.actual))

    def models(self) -> Collection[str]:
        """The models of which anything is held."""
        return self._numbers.keys()

    def versions_of(self, model: str) -> tuple[ReplicaVersion, ...]:
        """Return what `versions` has of a model."""
        return tuple(self._replica_version(key) for key in self.keys_of(model))

    def take_changed(self) -> set[str]:
        """The models whose `versions_of` may be others since this was last called."""
        changed, self._changed = self._changed, set()
        return changed

    def _replica_version(self, key: Key) -> ReplicaVersion:
        actual = self.actual[key]
        served, record = self.served.get(key), self.records.get(key)
        waits = served is None and key in self.proven and self.stands_by(key)
        return ReplicaVersion(
            model=key[0],
            number=key[1],
            state=LoadState.READY if waits else _LOAD_STATES[actual],
            reason=STANDBY if waits else self._reason(key, actual, served),
            memory_bytes=served.runner.memory_bytes if served else 0,
            provider=served.runner.provider if served else "",
            digest=record.digest[:_DIGEST_LENGTH] if record else "",
        )

    def _reason(self, key: Key, actual: VersionState, served: LoadedVersion | None) -> str:
        if actual is VersionState.ABSENT:
            return _QUEUED
        if actual is VersionState.FAILED:
            return self.reasons.get(key, "")
        return served.remark if served and actual is VersionState.READY else ""

    def _state_reason(self, key: Key, actual: VersionState) -> str:
        return _QUEUED if actual is VersionState.ABSENT else self.reasons.get(key, "")
