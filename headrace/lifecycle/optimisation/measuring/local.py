"""Measures candidates and their parent in processes of this machine, taking turns: nothing is pushed."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from headrace.errors import Internal
from headrace.lifecycle.optimisation.measuring.costs import Cost, Turns
from headrace.lifecycle.predictors.predictor import Tensors
from headrace.lifecycle.threads import to_its_end

_TURN_SECONDS = 0.2
_ROUNDS = 3
_LINE_BYTES = 1 << 20


async def measure_local(
    graphs: Sequence[tuple[Path, int]],
    rows: Tensors,
    seconds: float,
    told: Callable[[str], None] = lambda _: None,
) -> list[Cost]:
    """What runs of each graph cost on one core: latency of one row, rate with so many rows a run.

    A number of rows below 0 stands for graphs that take no other number.
    """
    turns = [Turns() for _ in graphs]
    used = [(0.0, 0) for _ in graphs]
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-optimise-")))
        kept = folder / "rows.npz"
        await to_its_end(lambda: np.savez(kept, **dict(rows)))  # type: ignore[arg-type]  # arrays by name
        children = [
            await stack.enter_async_context(_open_child(graph, kept, count))
            for graph, count in graphs
        ]
        end, finished = time.monotonic() + seconds, 0
        while finished < _ROUNDS or time.monotonic() < end:
            for place, child in enumerate(children):
                said = await child.turn(_TURN_SECONDS)
                turns[place].latencies += said["latencies"]
                turns[place].rates.append(said["rows"] / said["seconds"])
                turns[place].requests += len(said["latencies"])
                used[place] = (used[place][0] + said["cpu_seconds"], used[place][1] + said["rows"])
            finished += 1
            told(f"round {finished}")
        return [
            Cost(
                mine.p50_ms(),
                mine.rows_per_second(),
                mine.requests,
                cpu_seconds=cpu / max(1, count) * 1000,
                memory_bytes=child.memory_bytes,
            )
            for mine, (cpu, count), child in zip(turns, used, children, strict=True)
        ]


class _Child:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.memory_bytes = 0

    async def said(self) -> dict[str, Any]:
        """The next line."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise Internal("MEASURING_ENDED", "a process that measured a graph came to its end")
        found: dict[str, Any] = json.loads(line)
        return found

    async def turn(self, seconds: float) -> dict[str, Any]:
        """Have it take a turn."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n".encode())
        await self._process.stdin.drain()
        return await self.said()


@asynccontextmanager
async def _open_child(graph: Path, rows: Path, per_run: int) -> AsyncIterator[_Child]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "headrace.lifecycle.optimisation.measuring.child"),
        *(str(graph), str(rows), str(per_run)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
    )
    try:
        child = _Child(process)
        child.memory_bytes = int((await child.said())["memory_bytes"])
        yield child
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
