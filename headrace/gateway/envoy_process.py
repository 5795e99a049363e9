"""One Envoy: checked, started, ready, ended."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from headrace import errors
from headrace.gateway.admin import EnvoyAdmin
from headrace.gateway.binary import EnvoyBinary
from headrace.gateway.config.bootstrap import bootstrap
from headrace.gateway.config.places import Places
from headrace.gateway.files import replace_message
from headrace.gateway.settings import Settings
from headrace.machine.cores import usable_cores
from headrace.service.parent_death import tether

logger = logging.getLogger(__name__)

START_SECONDS = 30.0
HANDOVER_SECONDS = 5
"""How long an old Envoy serves on beside its successor, so that callers change over one by one."""
_END_SECONDS = 5.0
_POLL_SECONDS = 0.02
_LEVELS = {"debug": "info", "info": "warning", "warning": "warning", "error": "error"}
"""Of Envoy for ours. At its own level debug it writes the private key of its certificate, and tokens."""
_LAST_LINES = 3


@dataclass(frozen=True, slots=True)
class EnvoyProcess:
    """An Envoy that was started: its process, its place among those of this gateway, its admin."""

    process: asyncio.subprocess.Process
    epoch: int
    admin: EnvoyAdmin


class EnvoyStarter:
    """Starts the Envoys of one gateway; each later one takes over from the one before."""

    def __init__(self, binary: EnvoyBinary, places: Places) -> None:
        self._binary = binary
        self._places = places

    def tidy_up(self) -> None:
        """Remove what Envoy leaves in the machine's memory: 104 bytes that it shares with its successor."""
        self._places.shared_memory.unlink(missing_ok=True)

    async def check(self, settings: Settings, epoch: int) -> None:
        """Have Envoy read what it would be started with. Raises FailedPrecondition (GATEWAY_REFUSED)."""
        file = self._places.config_file(epoch)
        replace_message(file, bootstrap(settings, self._places, epoch))
        command = [str(self._binary.path), "--mode", "validate", "-c", str(file)]
        process = await asyncio.create_subprocess_exec(
            *command, "-l", "error", stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said, _ = await process.communicate()
        if process.returncode:
            raise _refused(said.decode(errors="replace"))

    async def start(self, settings: Settings, epoch: int) -> EnvoyProcess:
        """Start the Envoy that was checked; it is ready when this returns.

        Raises FailedPrecondition (GATEWAY_REFUSED) where it does not come to be; then it is ended.
        """
        process = await asyncio.create_subprocess_exec(
            *tether(),
            *self._command(settings, epoch),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        envoy = EnvoyProcess(process, epoch, EnvoyAdmin(self._places.admin_socket(epoch)))
        try:
            await _wait_until_ready(envoy)
        except BaseException:
            await end(envoy)
            raise
        return envoy

    def _command(self, settings: Settings, epoch: int) -> list[str]:
        level = _LEVELS[settings.log_level]
        return [
            *(str(self._binary.path), "-c", str(self._places.config_file(epoch))),
            *("--concurrency", str(settings.workers or usable_cores())),
            *("--drain-time-s", str(HANDOVER_SECONDS)),
            *("--parent-shutdown-time-s", str(HANDOVER_SECONDS + 2)),
            *("--base-id", str(self._places.base_id), "--restart-epoch", str(epoch)),
            *("--socket-path", str(self._places.private / "handover"), "--socket-mode", "600"),
            *("--file-flush-interval-msec", "1000"),
            # It would warn of each signal, and of each Envoy that takes over.
            *("-l", level, "--component-log-level", "main:error"),
        ]


async def _wait_until_ready(envoy: EnvoyProcess) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await envoy.admin.is_ready():
                if envoy.process.returncode is not None:
                    raise _refused(f"it ended with status {envoy.process.returncode}, see above")
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise _refused(f"it was not ready within {START_SECONDS:.0f} s") from None


async def end(envoy: EnvoyProcess) -> None:
    """End an Envoy, whatever it still has."""
    with suppress(ProcessLookupError):
        envoy.process.terminate()
    try:
        async with asyncio.timeout(_END_SECONDS):
            await envoy.process.wait()
    except TimeoutError:
        logger.warning("Envoy did not end in time and is killed")
        with suppress(ProcessLookupError):
            envoy.process.kill()
        await envoy.process.wait()


def _refused(said: str) -> errors.FailedPrecondition:
    lines: Sequence[str] = [line.strip() for line in said.splitlines() if line.strip()]
    words = " / ".join(lines[-_LAST_LINES:])
    return errors.FailedPrecondition(
        "GATEWAY_REFUSED", f"Envoy cannot be run with these settings: {words}"
    )
