"""What replicas say of versions, and what the registry makes of it."""

from __future__ import annotations

import pytest

from headrace.state.records import LoadState, ReplicaRecord, ReplicaVersion
from headrace_registry.domain.decisions.readiness import OTHER, without_others
from tests.unit.inference.doubles import catalog


@pytest.mark.parametrize(
    ("digest", "expected"),
    [("d1", (LoadState.READY, "")), ("", (LoadState.READY, "")), ("e", (LoadState.LOADING, OTHER))],
)
def test_other_bytes_of_a_number_are_not_the_version(
    digest: str, expected: tuple[LoadState, str]
) -> None:
    """A replica that has not heard yet of a new state has what had the number before."""
    held = ReplicaVersion("m", 1, LoadState.READY, digest=digest)
    gone = ReplicaVersion("m", 9, LoadState.READY, digest="e")
    replica = ReplicaRecord("r", "", "", "", 1, 0.0, 7, versions=(held, gone))
    found = without_others(replica, catalog(1)).versions
    assert [expected, (LoadState.READY, "")] == [(each.state, each.reason) for each in found]
