"""The command lines of the children."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.addresses import reachable
from headrace.local.commands import (
    SuiteOptions,
    monitor_command,
    registry_command,
    replica_command,
)
from headrace.machine.cores import usable_cores

PEERS = {"registry": "0.0.0.0:8100", "monitor": "127.0.0.1:8200"}


def flags(command: list[str]) -> dict[str, str]:
    """The `--name=value` flags by name."""
    return dict(flag.removeprefix("--").split("=", 1) for flag in command[3:])


def test_every_child_gets_its_own_folder() -> None:
    """The folders lie side by side in the data folder; all replicas have one, and prepare once."""
    plan = SuiteOptions(Path("data"))
    assert "data/registry" == flags(registry_command(plan, {}))["data"]
    assert "data/monitor" == flags(monitor_command(plan, {}))["data"]
    assert "data/replica-0" == flags(replica_command(plan, 1, "one", PEERS, {}))["data"]


@pytest.mark.parametrize(
    ("replicas", "first", "index", "expected"),
    [(1, 8001, 0, "8001"), (3, 8001, 0, "8011"), (3, 8001, 2, "8031"), (3, 0, 2, "0")],
)
def test_replicas_take_ports_in_steps(replicas: int, first: int, index: int, expected: str) -> None:
    """Those that share a port have their own ten ports up each, and a free port stays a free port."""
    options = SuiteOptions(Path(), replicas=replicas, inference_port=first)
    assert expected == flags(replica_command(options, index, "id", PEERS, {}))["grpc-port"]


def test_replicas_are_told_what_they_share() -> None:
    """Ports, the folder by which they find one another, and each its part of the cores."""
    options, shared = SuiteOptions(Path("data"), replicas=64), {"grpc": 1, "http": 2, "metrics": 3}
    command = flags(replica_command(options, 5, "id", PEERS, {}, shared))
    assert {
        "shared-grpc-port": "1",
        "shared-http-port": "2",
        "shared-metrics-port": "3",
        "shared-folder": "data/shared",
        "cores": str(max(1, usable_cores() // 64)),
    }.items() <= command.items()


def test_child_that_comes_back_has_the_ports_it_had() -> None:
    """Known addresses win over planned ports."""
    before = {"grpc": "127.0.0.1:4001", "http": "127.0.0.1:4002"}
    command = flags(registry_command(SuiteOptions(Path(), registry_port=0), before))
    assert ("4001", "4002") == (command["grpc-port"], command["http-port"])


def test_replica_is_told_where_the_others_are() -> None:
    """Redis, registry and monitor are named by addresses that can be called."""
    command = flags(replica_command(SuiteOptions(Path()), 0, "replica-0", PEERS, {}))
    assert {
        "registry-address": "127.0.0.1:8100",
        "monitor-address": "127.0.0.1:8200",
        "replica-id": "replica-0",
    }.items() <= command.items()


@pytest.mark.parametrize(("replicas", "expected"), [(1, "0"), (2, None)])
def test_only_a_replica_that_has_others_waits_with_its_ports(
    replicas: int, expected: str | None
) -> None:
    """One that is alone would only turn callers away that it could serve."""
    command = flags(replica_command(SuiteOptions(Path(), replicas=replicas), 0, "id", PEERS, {}))
    assert expected == command.get("join-seconds")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("0.0.0.0:1", "127.0.0.1:1"),
        ("10.0.0.1:1", "10.0.0.1:1"),
        ("localhost:1", "localhost:1"),
        ("[::]:1", "[::1]:1"),
        ("[::1]:1", "[::1]:1"),
    ],
)
def test_reachable_address(address: str, expected: str) -> None:
    """An address that stands for every interface is called over the loopback."""
    assert expected == reachable(address)
