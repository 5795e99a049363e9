"""Keeps results of checks for repeated pushes of the same bytes with the same config."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import util
from pathlib import Path

from headrace.state.codec import decode, encode
from headrace_registry.adapters.checks.task import CheckReport
from headrace_registry.domain.pushes.artifacts import Pushed, RequestedOptions

MAX_BYTES = 32 << 20


class CheckResults:
    """Reports by what was checked: the newest, up to a number of bytes. One check at a time for each."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._reports: OrderedDict[str, bytes] = OrderedDict()
        self._turns: dict[str, _Turn] = {}

    def find(self, key: str) -> CheckReport | None:
        """Return what was found, if it is still known."""
        report = self._reports.get(key)
        if report is None:
            return None
        self._reports.move_to_end(key)
        return decode(CheckReport, report)

    def keep(self, key: str, report: CheckReport) -> None:
        """Remember what was found; the oldest go to make room."""
        self._bytes -= len(self._reports.pop(key, b""))
        self._reports[key] = encode(report)
        self._bytes += len(self._reports[key])
        while self._bytes > self._max_bytes:
            _, dropped = self._reports.popitem(last=False)
            self._bytes -= len(dropped)

    @asynccontextmanager
    async def alone(self, key: str) -> AsyncIterator[None]:
        """Wait while the same is checked for somebody else: its result will do for both."""
        turn = self._turns.setdefault(key, _Turn())
        turn.wanted += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.wanted -= 1
            if not turn.wanted:
                del self._turns[key]


@dataclass
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted: int = 0


def key_of(pushed: Pushed, asked: RequestedOptions) -> str:
    """Return what the result depends on: the bytes, what is asked of them, and the runtime."""
    parts = (pushed.sha256, pushed.format, encode(asked).decode(), _runtime())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _runtime() -> str:
    """The installed ONNX Runtime, which can be replaced while the registry runs."""
    spec = util.find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        return ""
    return f"{spec.origin} {Path(spec.origin).stat().st_mtime_ns}"
