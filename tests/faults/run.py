"""One run: a suite and its clients, faults for a while, then quiet, then what is true at the end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.faults.checker import check
from tests.faults.clients import (
    Workload,
    delete_for_ever,
    final_state,
    infer_for_ever,
    list_for_ever,
    move_for_ever,
    open_workload,
    push_for_ever,
    watch_for_ever,
)
from tests.faults.clock import Clock
from tests.faults.history import FinalState, History, Kind
from tests.faults.nemesis import Fault, Nemesis, harm
from tests.state_server import open_state_server
from tests.suite import running_suite

CLIENTS = (
    (push_for_ever, 2),
    (delete_for_ever, 1),
    (move_for_ever, 2),
    (list_for_ever, 2),
    (infer_for_ever, 2),
    (watch_for_ever, 2),
)
"""What clients do, and how many do it."""
CHANGING = (push_for_ever, delete_for_ever, move_for_ever)
"""Those that come to an end by themselves: what became of their last change must be known, too."""
_QUIET_SECONDS = 3.0
_ALL_KINDS_SECONDS = 60.0
"""A slow machine takes so long, after the faults, until something of each kind was acknowledged."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run showed."""

    history: History
    final: FinalState
    findings: Sequence[str]

    def __str__(self) -> str:
        """Counts and findings, for people."""
        return "\n".join([self.history.summary(), *(self.findings or ["nothing found"])])


async def run(
    folder: Path,
    choose: Callable[[Nemesis], list[Fault]],
    seconds: float,
    seed: int,
    clock: Clock | None = None,
) -> Result:
    """Run clients for so long while the chosen faults happen, and check what they were told.

    Raises TimeoutError where what is there is not served within a minute after the last fault.
    """
    history = History()
    async with (
        open_state_server(folder / "state") as server,
        running_suite(folder, replicas=2, extra=(f"--redis-url={server.url}",)) as suite,
        open_workload(
            suite.registry,
            {f"replica-{at}": str(one["grpc"]) for at, one in enumerate(suite.ready["inference"])},
            history,
            seed,
        ) as work,
    ):
        nemesis = Nemesis(suite, server, history, random.Random(seed + 1), folder / "backup", clock)
        async with _working(work):
            await harm(choose(nemesis), seconds, nemesis.random)
            await asyncio.sleep(_QUIET_SECONDS)
            await _until_all_kinds(history)
        final = await final_state(work, suite.data / "registry")
    return Result(history, final, check(history, final))


async def _until_all_kinds(history: History) -> None:
    """Wait until something of each kind was acknowledged; whoever judges sees what was not."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_ALL_KINDS_SECONDS):
            while not all(any(history.acknowledged(kind)) for kind in Kind):  # noqa: ASYNC110
                await asyncio.sleep(0.1)


@asynccontextmanager
async def _working(work: Workload) -> AsyncIterator[None]:
    """Clients work while inside; one that fails by itself ends the run."""
    async with asyncio.TaskGroup() as clients:
        tasks = {
            clients.create_task(
                client(work, f"{client.__name__.partition('_')[0]}-{number}")
            ): client
            for client, count in CLIENTS
            for number in range(count)
        }
        yield
        work.ending.set()
        await asyncio.wait([task for task, client in tasks.items() if client in CHANGING])
        for task in tasks:
            task.cancel()
