"""When a version counts as served."""

from __future__ import annotations

import pytest

from headrace.client.replicas import Availability, availability
from headrace.state.records import LoadState, ReplicaRecord, ReplicaStage, ReplicaVersion


def replica(
    name: str,
    state: LoadState | None,
    *,
    reason: str = "",
    applied: int = 5,
    stage: ReplicaStage = ReplicaStage.READY,
) -> ReplicaRecord:
    """A replica that has version 2 of digits in a state, or not at all."""
    version = () if state is None else (ReplicaVersion("digits", 2, state, reason),)
    other = ReplicaVersion("digits", 1, LoadState.READY)
    return ReplicaRecord(
        name,
        *("a:1", "a:2", "a:3"),
        1,
        0.0,
        applied_revision=applied,
        versions=(other, *version),
        stage=stage,
    )


READY = replica("a", LoadState.READY)


@pytest.mark.parametrize(
    ("replicas", "expected"),
    [
        ([READY], Availability(ready=True)),
        ([READY, replica("b", LoadState.READY)], Availability(ready=True)),
        ([], Availability(awaited=("no replica is there",))),
        ([READY, replica("b", LoadState.LOADING)], Availability(awaited=("b: LOADING",))),
        ([READY, replica("b", None)], Availability(awaited=("b: does not hold it",))),
        (
            [READY, replica("b", LoadState.UNAVAILABLE, reason="no such operator")],
            Availability(given_up=("b: no such operator",)),
        ),
        (  # who leaves holds up nobody, and serves nobody
            [READY, replica("b", LoadState.LOADING, stage=ReplicaStage.LEAVING)],
            Availability(ready=True),
        ),
        (
            [replica("b", LoadState.READY, stage=ReplicaStage.LEAVING)],
            Availability(awaited=("no replica is there",)),
        ),
        (  # what it says is about the time before
            [replica("b", LoadState.UNAVAILABLE, reason="unloaded", applied=4)],
            Availability(awaited=("b: has not seen revision 5 yet",)),
        ),
    ],
)
def test_readiness(replicas: list[ReplicaRecord], expected: Availability) -> None:
    """A row each: what the replicas say of version 2 since revision 5, and what that means."""
    assert expected == availability(replicas, "digits", 2, 5)
