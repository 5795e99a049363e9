"""Decides which replicas get requests, from what the registry says and what was known before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from headrace.gateway.config.endpoints import EndpointState
from headrace.state.records import ReplicaRecord, ReplicaStage


@dataclass(frozen=True, slots=True)
class KnownReplica:
    """A replica as Envoy is told of it; `until` when at least, if it does not serve any more."""

    grpc_address: str
    rest_address: str
    state: EndpointState = EndpointState.HEALTHY
    until: float | None = None


@dataclass(frozen=True, slots=True)
class KnownReplicas:
    """All replicas that Envoy is told of, by their ids."""

    by_id: Mapping[str, KnownReplica] = field(default_factory=dict)

    def followed(
        self, records: Sequence[ReplicaRecord], now: float, notice_seconds: float
    ) -> KnownReplicas:
        """Return what is known after the registry said which replicas there are.

        One that says that it leaves gets nothing new from now on, and stays known while it is there, for
        `notice_seconds` at least. One of which nothing is heard any more goes on for so long, and for good
        if there is no other: the registry may have lost sight of all of them, and whoever is dead fails
        Envoy's own checks.
        """
        stages = {record.id: record.stage for record in records}
        serving = {record.id: _serving(record) for record in records if _is_ready(record)}
        until = now + notice_seconds
        others = {
            name: _ending(known, until, leaves=name in stages)
            for name, known in self.by_id.items()
            if name not in serving
        }
        taken = {replica.grpc_address for replica in serving.values()}
        kept = {
            name: known
            for name, known in others.items()
            if known.grpc_address not in taken
            and (_has_time(known, now) or stages.get(name) is ReplicaStage.LEAVING or not serving)
        }
        return KnownReplicas(serving | kept)

    def count(self, state: EndpointState) -> int:
        """Return how many are in a state."""
        return sum(known.state is state for known in self.by_id.values())


def _is_ready(record: ReplicaRecord) -> bool:
    return record.stage is ReplicaStage.READY


def _serving(record: ReplicaRecord) -> KnownReplica:
    return KnownReplica(record.grpc_address, record.http_address)


def _ending(known: KnownReplica, until: float, *, leaves: bool) -> KnownReplica:
    """One that does not serve any more, by its own word or because nothing is heard of it."""
    state = EndpointState.DRAINING if leaves else known.state
    return replace(known, state=state, until=until if known.until is None else known.until)


def _has_time(known: KnownReplica, now: float) -> bool:
    return known.until is not None and known.until > now
