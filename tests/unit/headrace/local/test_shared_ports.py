"""The ports that a suite keeps for its replicas."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from headrace import errors
from headrace.local.commands import SuiteOptions
from headrace.local.ports import check_ports
from headrace.local.shared_ports import kept_ports

TWO = replace(SuiteOptions(Path()).with_free_ports(), replicas=2)


def test_a_replica_that_is_alone_shares_nothing() -> None:
    """Its ports are its own."""
    with kept_ports(replace(TWO, replicas=1)) as ports:
        assert {} == ports


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::"])
def test_shared_ports_are_the_suite_s_own(host: str) -> None:
    """Its replicas may listen there, and another suite is told that they are taken, whoever listens."""
    options = replace(TWO, host=host)
    with kept_ports(options) as ports:
        other = replace(options, inference_port=ports["grpc"], replicas=1)
        for listening in (0, 2, 1, 0):
            servers = [replica(host, ports["grpc"]) for _ in range(listening)]
            with pytest.raises(errors.FailedPrecondition, match="is taken"):
                check_ports(other)
            for server in servers:
                server.close()
    check_ports(other)


def replica(host: str, port: int) -> socket.socket:
    """What listens there as a replica does."""
    family = socket.AF_INET6 if host == "::" else socket.AF_INET
    server = socket.socket(family)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    with suppress(OSError):
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind((host, port))
    server.listen()
    return server


def test_a_port_of_somebody_else_is_not_shared() -> None:
    """The refusal names it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(errors.FailedPrecondition, match=f"127.0.0.1:{port}") as refused,
            kept_ports(replace(TWO, inference_port=port)),
        ):
            pass
    assert "PORTS_TAKEN" == refused.value.reason
