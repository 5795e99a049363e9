"""Gives Envoy certificates, keys and CAs, and those that replace them, once they fit together."""

from __future__ import annotations

import asyncio
import logging

from headrace.gateway.config.messages import Message
from headrace.gateway.config.places import SERVER, Places
from headrace.gateway.config.secrets import SETTINGS, ca_secret, pair_secret
from headrace.gateway.files import replace_message
from headrace.gateway.settings import Settings
from headrace.tls.certificates import Certificates
from headrace.tls.files import Material, TlsFiles
from headrace.tls.servers import ServerTls

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.5


class SecretFiles:
    """The secrets that the settings name. Files may be replaced by renaming, by a link, or written over."""

    def __init__(self, settings: Settings, places: Places) -> None:
        """Read them. Raises FailedPrecondition (TLS_FILE_UNREADABLE, TLS_FILES_INVALID)."""
        self._places = places
        self._sources = {
            name: Certificates(_files(settings, fields))
            for name, fields in SETTINGS.items()
            if getattr(settings, fields[0]) is not None
        }

    def write(self) -> None:
        """Write what is new: Envoy takes it for the next handshakes."""
        self._places.secrets.mkdir(mode=0o700, exist_ok=True)
        for name, source in self._sources.items():
            secret = _secret(name, source.current())
            if replace_message(self._places.secret_file(name), secret):
                logger.info("Envoy is told of TLS files", extra={"secret": name})

    async def run(self) -> None:
        """Write what is new, for ever."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                self.write()
            except OSError as error:
                logger.error("Envoy cannot be told of TLS files: %s", error)  # noqa: TRY400

    @property
    def problems(self) -> dict[str, str]:
        """Why what is in files now is not what is shown, by secret."""
        return {name: source.problem for name, source in self._sources.items() if source.problem}

    @property
    def of_server(self) -> ServerTls | None:
        """The certificate that callers are shown, if they are shown one."""
        source = self._sources.get(SERVER)
        return ServerTls(source) if source else None


def _files(settings: Settings, fields: tuple[str, ...]) -> TlsFiles:
    paths = [getattr(settings, field) for field in fields]
    return TlsFiles(*paths) if len(paths) == 2 else TlsFiles(authorities=paths[0])


def _secret(name: str, material: Material) -> Message:
    if material.chain:
        return pair_secret(name, material.chain, material.key)
    return ca_secret(name, material.authorities)
