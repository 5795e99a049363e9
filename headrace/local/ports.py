"""Finds out, before anything starts, which ports of a suite are taken."""

from __future__ import annotations

import errno
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from headrace import addresses, errors
from headrace.local.commands import SuiteOptions, replica_ports

_OF_REPLICAS = {
    "http": "inference_http_port",
    "grpc": "inference_port",
    "metrics": "inference_metrics_port",
}
_OF_SERVICES = (
    "registry_port",
    "registry_http_port",
    "monitor_port",
    "monitor_http_port",
)


@dataclass(frozen=True, slots=True)
class PlannedPort:
    """A port that a suite is going to listen on, and the option that changes it."""

    port: int
    option: str

    def __str__(self) -> str:
        """For people."""
        return f"{self.port} ({self.option})"


def planned_ports(options: SuiteOptions) -> list[PlannedPort]:
    """The ports that are given, in ascending order; those that the system chooses are not among them."""
    alone = options.replicas == 1
    first = [*_OF_SERVICES]
    if options.shares_ports or alone:
        first += [_OF_REPLICAS[kind] for kind in replica_ports(options, 0)]
    planned = [PlannedPort(getattr(options, name), _option(name)) for name in first]
    planned += [
        PlannedPort(port, f"{_option(_OF_REPLICAS[kind])} of replica {index}")
        for index in range(0 if alone else options.replicas)
        for kind, port in replica_ports(options, index).items()
    ]
    if options.gateway is not None:
        planned += [
            PlannedPort(options.gateway.port or 0, "--gateway-port"),
            PlannedPort(options.gateway.http_port, "HEADRACE_GATEWAY_HTTP_PORT"),
        ]
    return sorted((one for one in planned if one.port), key=lambda one: one.port)


def check_ports(options: SuiteOptions) -> None:
    """Refuse to start where ports are taken or given twice, and name all of them.

    Raises FailedPrecondition (PORTS_TAKEN). What else is wrong with an address is left to the service
    that listens there.
    """
    planned = planned_ports(options)
    counts = Counter(one.port for one in planned)
    twice = [str(one) for one in planned if counts[one.port] > 1]
    taken = [str(one) for one in planned if _is_taken(options.host, one.port)]
    problems = [
        *([f"ports {', '.join(taken)} are taken"] if len(taken) > 1 else []),
        *([f"port {taken[0]} is taken"] if len(taken) == 1 else []),
        *([f"ports {', '.join(twice)} are given twice"] if twice else []),
    ]
    if problems:
        raise errors.FailedPrecondition(
            "PORTS_TAKEN",
            f"{' and '.join(problems)}: choose others with these options, or free ones for all with "
            "--port 0",
            facts={"ports": ",".join(str(one.port) for one in planned if str(one) in taken)},
        )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _is_taken(host: str, port: int) -> bool:
    with suppress(OSError):  # a host that is not this machine's: whoever listens there says so
        for family, address in _bindable(host, port):
            if _refuses(family, address):
                return True
    return False


def _bindable(host: str, port: int) -> Iterator[tuple[int, tuple[str, int]]]:
    found = socket.getaddrinfo(
        addresses.bare_host(host) or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    for family, _, _, _, address in found:
        if family in (socket.AF_INET, socket.AF_INET6):
            yield family, (str(address[0]), port)


def _refuses(family: int, address: tuple[str, int]) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # What just closed there does not count; what listens does, also with SO_REUSEPORT as gRPC does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
