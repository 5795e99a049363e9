"""The gateway of a suite: its options, its command line, and the sockets by which it calls the others."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace import addresses
from headrace.service.gateway_sockets import GRPC_NAME, GatewaySockets, sockets_in

GATEWAY = "gateway"
TLS_PORT, PLAIN_PORT = 8443, 8080
HTTP_PORT = 8301
LONGEST_SOCKET = f"replica-1000/{GRPC_NAME}"
DRAIN_NOTICE_SECONDS = 2.0
"""How long a replica behind the gateway goes on serving after it was told to stop, at least: the gateway
asks twice a second which replicas leave."""


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """The gateway to run. All its other settings come from its file and the environment."""

    port: int | None = None
    """None: 8443 with TLS, 8080 without."""
    http_port: int = HTTP_PORT
    settings_file: Path | None = None
    folder: Path = Path()
    """The sockets of the other children, a folder for each, while the suite runs."""

    def sockets(self, child: str) -> GatewaySockets:
        """The sockets of a child."""
        return sockets_in(self.folder / child)

    def child_flags(self, child: str) -> dict[str, str]:
        """The flags of a child that the gateway calls."""
        return {"gateway-folder": str(self.folder / child)}


def gateway_flags(
    options: GatewayOptions, registry: str, monitor: str, before: Mapping[str, str]
) -> dict[str, str]:
    """The flags of the gateway's own, on the ports that it had `before`; the names are of the children."""
    called = options.sockets(monitor)
    flags = {
        "registry-address": options.sockets(registry).grpc_target,
        "monitor-address": called.grpc_target,
        "monitor-http-address": called.http_target,
        "http-port": str(_port(before, "http", options.http_port)),
        "grace-seconds": "0",
    }
    port = _port(before, "edge", options.port)
    if port is not None:
        flags["port"] = str(port)
    if options.settings_file is not None:
        flags["settings-file"] = str(options.settings_file)
    return flags


def gateway_command(flags: Mapping[str, str]) -> list[str]:
    """The command line that starts a gateway."""
    arguments = (f"--{flag}={value}" for flag, value in flags.items())
    return [sys.executable, "-m", "headrace.gateway", *arguments]


def _port(before: Mapping[str, str], name: str, planned: int | None) -> int | None:
    return int(addresses.split(before[name])[1]) if name in before else planned
