"""The ports of a suite, looked at before anything starts."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from headrace import errors
from headrace.local.commands import PORT_STEP, SuiteOptions
from headrace.local.ports import check_ports, planned_ports

FREE = SuiteOptions(Path()).with_free_ports()


def test_every_port_and_its_option_is_planned() -> None:
    """Several replicas have a port together, and each one of its own, some higher; 0 is none to look at."""
    planned = [str(one) for one in planned_ports(replace(FREE, monitor_port=9, inference_port=7))]
    replicas = planned_ports(replace(FREE, inference_port=7000, replicas=2))

    assert ["7 (--inference-port)", "9 (--monitor-port)"] == planned
    assert [7000 + PORT_STEP * step for step in (0, 1, 2)] == [one.port for one in replicas]
    assert "replica 1" in str(replicas[2])


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "::"])
def test_all_taken_ports_are_named_at_once(host: str) -> None:
    """Whoever listens on an address of the host, every port and its option is in the one error."""
    with ExitStack() as servers:
        first, second = (
            servers.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            for _ in range(2)
        )
        taken = replace(FREE, registry_port=first, inference_http_port=second)
        with pytest.raises(errors.FailedPrecondition) as refused:
            check_ports(replace(taken, host=host))

    assert "PORTS_TAKEN" == refused.value.reason
    assert f"{first} (--registry-port)" in refused.value.message
    assert f"{second} (--inference-http-port)" in refused.value.message
    assert "--port 0" in refused.value.message


def test_a_port_that_shares_itself_counts_as_taken() -> None:
    """gRPC's servers let others bind their port: such a one is found, too."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        with pytest.raises(errors.FailedPrecondition, match="is taken"):
            check_ports(replace(FREE, monitor_port=server.getsockname()[1]))


def test_a_port_that_is_given_twice_is_refused() -> None:
    """Two services cannot listen on one port."""
    with pytest.raises(errors.FailedPrecondition, match="given twice"):
        check_ports(replace(FREE, registry_port=1, monitor_port=1))


def test_a_port_that_was_just_left_is_free() -> None:
    """A connection that waits for its end keeps nobody from listening again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        caller = socket.create_connection(("127.0.0.1", port))
        server.accept()[0].close()
    caller.close()

    check_ports(replace(FREE, registry_port=port))
