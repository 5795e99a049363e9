"""The gateway of a suite: its options, its command line, and the sockets by which it calls the others."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headrace import addresses, errors
from headrace.service.gateway_sockets import GRPC_NAME, GatewaySockets, sockets_in
from headrace.service.socket_folders import short_temporary_folder

GATEWAY = "gateway"
HTTP_PORT = 8301
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


@contextmanager
def open_socket_folder(data: Path) -> Iterator[Path]:
    """A private folder for sockets, the same at every start from a data folder; gone on leaving.

    Raises FailedPrecondition (SOCKET_FOLDER_TAKEN, SOCKET_PATH_TOO_LONG).
    """
    own = (
        f"headrace-{os.getuid()}-{hashlib.sha256(os.fsencode(data.absolute())).hexdigest()[:16]}-up"
    )
    folder = short_temporary_folder(f"{own}/replica-1000/{GRPC_NAME}") / own
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise errors.FailedPrecondition(
            "SOCKET_FOLDER_TAKEN", f"{folder} is somebody else's; remove it or set TMPDIR"
        )
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
