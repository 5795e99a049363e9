"""Starts a service under measurement in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from headrace.service.parent_death import tether

_OPTIONS = ("--grpc-port", "0", "--http-port", "0", "--log-level", "error", "--ready-fd", "1")


@dataclass(frozen=True, slots=True)
class Service:
    """A running service: its addresses by name, such as grpc and http, and its process id."""

    addresses: Mapping[str, str]
    pid: int

    @property
    def grpc(self) -> str:
        """The address of its gRPC port."""
        return self.addresses["grpc"]

    def cpu_seconds(self) -> float:
        """Read the processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def open_service(module: str, *options: str) -> AsyncIterator[Service]:
    """Run `python -m module` with these options on free ports; ended on leaving."""
    process = await asyncio.create_subprocess_exec(
        *(*tether(), sys.executable, "-m", module, *options, *_OPTIONS), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        while "stage" in (told := json.loads(await process.stdout.readline())):
            pass  # it is alive, and not ready
        yield Service(told, process.pid)
    finally:
        process.terminate()
        await process.wait()
