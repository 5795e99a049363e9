"""Takes settings that changed in their file, once Envoy has found them good."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from headrace import errors
from headrace.file_stamps import stamp_of
from headrace.gateway.edge import Edge
from headrace.gateway.settings import Settings

logger = logging.getLogger(__name__)

ReadSettings = Callable[[], Settings]
"""Gives the settings as they are now. Raises SettingsError."""

_POLL_SECONDS = 0.5
FIXED = (
    "data",
    "host",
    "port",
    "http_host",
    "http_port",
    "envoy",
    "registry_address",
    "token_file",
    "tls_cert",
    "tls_key",
    "tls_client_ca",
    "peer_tls_ca",
    "peer_tls_cert",
    "peer_tls_key",
    "follow_seconds",
    "drain_notice_seconds",
    "log_format",
    "ready_fd",
    "stop_with_stdin",
)
"""Settings of the process that stays: they change with the next start. The files of TLS may change."""


async def follow_settings(edge: Edge, file: Path, read: ReadSettings) -> None:
    """Take what the file says, for ever, whenever it was replaced or written over."""
    seen = stamp_of(file)
    while True:
        await asyncio.sleep(_POLL_SECONDS)
        stamp = stamp_of(file)
        if stamp != seen:
            seen = stamp
            await take_settings(edge, read)


async def take_settings(edge: Edge, read: ReadSettings) -> None:
    """Take the settings as they are now, unless they are refused."""
    try:
        wanted = read()
        kept = {name: getattr(edge.settings, name) for name in FIXED}
        if later := [
            name for name in FIXED if name != "port" and getattr(wanted, name) != kept[name]
        ]:
            logger.warning(
                "some settings change with the next start only", extra={"settings": later}
            )
        wanted = replace(wanted, **kept)
        if wanted != edge.settings:
            await edge.take(wanted)
            logger.info("other settings were taken")
    except errors.FailedPrecondition as error:
        logger.error("settings were refused, those before go on: %s", error)  # noqa: TRY400
    except ValueError as error:  # a SettingsError is one
        edge.refusals += 1
        logger.error("settings were refused, those before go on: %s", error)  # noqa: TRY400
