"""TLS of calls: which authorities are trusted, and which certificate is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from headrace.tls.certificates import Certificates
from headrace.tls.files import Material, TlsFiles

Options = Sequence[tuple[str, int | str]]


@dataclass(frozen=True, slots=True)
class Current:
    """Credentials of channels, and the material that they were made of."""

    material: Material | None
    credentials: grpc.ChannelCredentials


class ClientTls:
    """Makes the credentials of channels. gRPC's cannot change: a channel is opened anew when files do."""

    def __init__(
        self,
        authorities: Path | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        """Read the files; without any, the system's authorities are trusted.

        Raises FailedPrecondition (TLS_FILE_UNREADABLE, TLS_FILES_INVALID).
        """
        files = TlsFiles(certificate, key, authorities)
        self._certificates = Certificates(files) if any(files.paths()) else None
        self._current: Current | None = None

    def current(self) -> Current:
        """The credentials for a channel that is opened now; the same object as long as nothing changed."""
        material = self._certificates.current() if self._certificates else None
        if self._current is None or self._current.material is not material:
            self._current = Current(material, _credentials(material))
        return self._current


def _credentials(material: Material | None) -> grpc.ChannelCredentials:
    if material is None:
        return grpc.ssl_channel_credentials()
    return grpc.ssl_channel_credentials(
        material.authorities or None, material.key or None, material.chain or None
    )


def in_use(channels: Iterable[grpc.aio.Channel]) -> list[grpc.aio.Channel]:
    """Those of former files that calls are still on; the others end when nobody has them any more."""
    return [each for each in channels if each.get_state() is not grpc.ChannelConnectivity.IDLE]


def name_options(name: str) -> list[tuple[str, int | str]]:
    """The options of a channel to a server whose certificate has this name; '': that of its address."""
    return [("grpc.ssl_target_name_override", name)] if name else []
