"""What Envoy is told of replicas as the registry tells of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from headrace import errors
from headrace.gateway.config.places import GRPC_REPLICAS, REST_REPLICAS, Places
from headrace.gateway.follower import ReplicaFollower
from headrace.state.records import ReplicaRecord


class Registry:
    """Answers with what it has, or with an error."""

    def __init__(self, *replicas: tuple[str, str]) -> None:
        self.replicas = replicas
        self.error: errors.HeadraceError | None = None

    async def read(self) -> Sequence[ReplicaRecord]:
        """The replicas."""
        if self.error:
            raise self.error
        return [
            ReplicaRecord(f"r{number}", grpc, rest, "", 1, 0.0, 1)
            for number, (grpc, rest) in enumerate(self.replicas)
        ]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """An empty data folder."""
    return Places(tmp_path, tmp_path)


def told(places: Places, cluster: str) -> list[str]:
    """The addresses that Envoy is told of."""
    (resource,) = json.loads(places.endpoint_file(cluster).read_text())["resources"]
    found = []
    for group in resource["endpoints"]:
        for host in group["lb_endpoints"]:
            address = host["endpoint"]["address"]
            socket = address.get("socket_address")
            found.append(
                f"{socket['address']}:{socket['port_value']}" if socket else address["pipe"]["path"]
            )
    return found


async def test_names_are_told_as_numbers_and_sockets_as_paths(places: Places) -> None:
    """Envoy looks up no names in such files."""
    registry = Registry(("localhost:8001", "localhost:8000"), ("unix:/run/g.sock", "unix:/run/h"))
    follower = ReplicaFollower(registry.read, places, 2.0)
    follower.prepare()
    await follower.follow()
    assert ["127.0.0.1:8001", "/run/g.sock"] == told(places, GRPC_REPLICAS)
    assert ["127.0.0.1:8000", "/run/h"] == told(places, REST_REPLICAS)


async def test_an_address_that_is_none_keeps_nobody_else_away(places: Places) -> None:
    """One without a port, or with a name that nobody knows, is passed over."""
    registry = Registry(("no port", ""), ("no.such.host.invalid:1", "x:1"), ("[::1]:7", "[::1]:6"))
    follower = ReplicaFollower(registry.read, places, 2.0)
    follower.prepare()
    await follower.follow()
    assert ["::1:7"] == told(places, GRPC_REPLICAS)


async def test_while_the_registry_is_away_nothing_changes(places: Places) -> None:
    """What is known may be old, and the follower says so until the registry is back."""
    registry = Registry(("127.0.0.1:1", "127.0.0.1:2"))
    follower = ReplicaFollower(registry.read, places, 2.0)
    follower.prepare()
    await follower.follow()
    registry.error = errors.Unavailable("SERVICE_UNREACHABLE", "nobody is there")
    await follower.follow()
    assert ("nobody is there", ["127.0.0.1:1"]) == (follower.problem, told(places, GRPC_REPLICAS))
    registry.error = None
    await follower.follow()
    assert "" == follower.problem
