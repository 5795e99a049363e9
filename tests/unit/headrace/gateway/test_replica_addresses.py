"""Which replicas Envoy is told of."""

from __future__ import annotations

from headrace.gateway.config.endpoints import EndpointState
from headrace.gateway.replica_addresses import KnownReplicas
from headrace.state.records import ReplicaRecord, ReplicaStage

NOTICE = 2.0
READY, LEAVING, JOINING = ReplicaStage.READY, ReplicaStage.LEAVING, ReplicaStage.JOINING
HEALTHY, DRAINING = EndpointState.HEALTHY, EndpointState.DRAINING


def replica(name: str, stage: ReplicaStage = READY, address: str = "") -> ReplicaRecord:
    """The record of a replica."""
    grpc = address or f"{name}:8001"
    return ReplicaRecord(name, grpc, f"{name}:8000", f"{name}:8002", 1, 0.0, 1, stage=stage)


def after(*steps: tuple[float, list[ReplicaRecord]]) -> dict[str, EndpointState]:
    """The states by name after the registry said this at these times."""
    known = KnownReplicas()
    for now, records in steps:
        known = known.followed(records, now, NOTICE)
    return {name: one.state for name, one in known.by_id.items()}


def test_only_replicas_that_are_ready_get_requests() -> None:
    """One that joins is not called before it is ready."""
    assert after((0, [replica("a"), replica("b", JOINING)])) == {"a": HEALTHY}


def test_one_that_leaves_drains_as_long_as_it_is_there() -> None:
    """It gets nothing new, and what it has may take longer than the notice."""
    there, leaves = [replica("a"), replica("b")], [replica("a"), replica("b", LEAVING)]
    assert after((0, there), (1, leaves), (9, leaves)) == {"a": HEALTHY, "b": DRAINING}


def test_one_that_left_drains_for_the_notice() -> None:
    """It is told of for two seconds at least after it said that it leaves."""
    both, leaves, gone = (
        [replica("a"), replica("b")],
        [replica("a"), replica("b", LEAVING)],
        [replica("a")],
    )
    assert after((0, both), (1, leaves), (1.5, gone)) == {"a": HEALTHY, "b": DRAINING}
    assert after((0, both), (1, leaves), (1.5, gone), (3.5, gone)) == {"a": HEALTHY}


def test_one_that_is_not_heard_of_goes_on_for_the_notice() -> None:
    """Its presence may have been lost; if it is dead, Envoy's own checks find it."""
    both, one = [replica("a"), replica("b")], [replica("a")]
    assert after((0, both), (1, one)) == {"a": HEALTHY, "b": HEALTHY}
    assert after((0, both), (1, one), (3.5, one)) == {"a": HEALTHY}


def test_the_last_ones_stay_when_nobody_is_heard_of() -> None:
    """A registry that lost sight of all replicas does not end the service."""
    assert after((0, [replica("a")]), (1, []), (100, [])) == {"a": HEALTHY}


def test_one_that_came_back_serves_again() -> None:
    """A replica that was restarted has the same name and drains no more."""
    left = [replica("a"), replica("b", LEAVING)]
    back = [replica("a"), replica("b")]
    assert after((0, back), (1, left), (2, back)) == {"a": HEALTHY, "b": HEALTHY}


def test_an_address_that_another_replica_took_is_not_draining() -> None:
    """The one before it, which had another name, is forgotten."""
    old, new = replica("old", address="h:1"), replica("new", address="h:1")
    assert after((0, [old]), (1, [new])) == {"new": HEALTHY}
