"""Where the console says that a model is called."""

from __future__ import annotations

import pytest

from headrace.state.records import ReplicaRecord
from headrace_monitor.wire.console.api.calls import NOWHERE, CallPlaces


def replica(grpc: str, http: str) -> ReplicaRecord:
    """A replica at these addresses."""
    return ReplicaRecord("r", grpc, http, "", 1, 0.0, 0)


OPEN = replica("0.0.0.0:8001", "0.0.0.0:8000")
HIDDEN = replica("unix:/run/grpc.sock", "unix:/run/http.sock")


@pytest.mark.parametrize(
    ("places", "replicas", "here", "expected"),
    [
        (CallPlaces(), [OPEN], "console:8201", ("127.0.0.1:8000", "127.0.0.1:8001")),
        (CallPlaces(), [HIDDEN, OPEN], "console:8201", ("127.0.0.1:8000", "127.0.0.1:8001")),
        (CallPlaces(), [HIDDEN], "edge.example:8443", ("edge.example:8443",) * 2),
        (CallPlaces(), [HIDDEN], "[::1]:8443", ("[::1]:8443",) * 2),
        (CallPlaces(), [HIDDEN], "x;curl evil", (NOWHERE,) * 2),
        (CallPlaces(), [], "", (NOWHERE,) * 2),
        (CallPlaces("grpcs://edge:443"), [OPEN], "console", ("edge:443",) * 2),
    ],
)
def test_a_caller_is_told_what_he_can_reach(
    places: CallPlaces, replicas: list[ReplicaRecord], here: str, expected: tuple[str, str]
) -> None:
    """A replica's own address, a public one, or the gateway's that he came by; never odd text."""
    place = places.of(replicas, here)
    assert expected == (place.http, place.grpc)
