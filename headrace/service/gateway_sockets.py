"""Unix sockets by which a gateway on this machine calls a service: nobody else can come that way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headrace import addresses, errors
from headrace.service.socket_folders import MAX_SOCKET_PATH_BYTES

GRPC_NAME, HTTP_NAME = "grpc.sock", "http.sock"


@dataclass(frozen=True, slots=True)
class GatewaySockets:
    """The sockets of one service."""

    grpc: Path
    http: Path

    @property
    def grpc_target(self) -> str:
        """The address of the first, as gRPC and the gateway have it."""
        return addresses.unix_target(self.grpc)

    @property
    def http_target(self) -> str:
        """The address of the second, as the gateway has it."""
        return addresses.unix_target(self.http)


def sockets_in(folder: Path) -> GatewaySockets:
    """The sockets that a service has in its folder."""
    return GatewaySockets(folder / GRPC_NAME, folder / HTTP_NAME)


@contextmanager
def gateway_sockets(folder: Path) -> Iterator[GatewaySockets]:
    """Places for sockets in a folder that only this account may enter; what was left there is removed.

    Raises FailedPrecondition (SOCKET_FOLDER_TAKEN, SOCKET_PATH_TOO_LONG).
    """
    sockets = sockets_in(folder.absolute())
    _check_length(sockets.grpc)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise errors.FailedPrecondition(
            "SOCKET_FOLDER_TAKEN",
            f"{folder} is somebody else's, or a link: choose another one with --gateway-folder",
        )
    folder.chmod(0o700)
    _remove(sockets)
    try:
        yield sockets
    finally:
        _remove(sockets)


def _remove(sockets: GatewaySockets) -> None:
    for path in (sockets.grpc, sockets.http):
        path.unlink(missing_ok=True)


def _check_length(path: Path) -> None:
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise errors.FailedPrecondition(
            "SOCKET_PATH_TOO_LONG",
            f"{path} is longer than the {MAX_SOCKET_PATH_BYTES} bytes that a Unix socket's path may have: "
            "choose a shorter folder with --gateway-folder",
        )
