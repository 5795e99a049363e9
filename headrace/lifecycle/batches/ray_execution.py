"""Executes the parts of a batch on Ray Data: actors read, answer and write them; here they are gathered."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace import errors
from headrace.lifecycle.batches.answers import Refusal
from headrace.lifecycle.batches.execution import FinishedPart, Keep, first_of
from headrace.lifecycle.batches.journal import Journal
from headrace.lifecycle.extras import from_extra
from headrace.lifecycle.tables import TableSource

if TYPE_CHECKING:
    from headrace.client.settings import ClientSettings
    from headrace.lifecycle.batches.ray_worker import Work

LOCAL = "local"
"""The address of a Ray of this machine alone, which ends with the batch."""


@dataclass(frozen=True, slots=True)
class Place:
    """A part that is missing: its number, and where it is read."""

    index: int
    start: int
    mark: int | None


class RayExecution:
    """Has missing parts answered by actors of a Ray, as many as it has cores.

    Each reads its rows by itself, so that the input has to be at the same path on every node; each has a
    session of the version's files, which a node pulls once, or asks the replicas.
    """

    def __init__(self, address: str, work: Work, settings: ClientSettings) -> None:
        self._address = address
        self._work = work
        self._settings = settings
        self.requests = 0

    async def run(self, source: TableSource, journal: Journal, keep: Keep) -> None:
        """As Execution says. Raises FailedPrecondition (LIFECYCLE_EXTRA_MISSING), Unavailable."""
        places = await asyncio.to_thread(lambda: list(missing_places(source, journal)))
        if not places:
            return
        loop = asyncio.get_running_loop()

        def keep_here(part: FinishedPart) -> None:
            asyncio.run_coroutine_threadsafe(keep(part), loop).result()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.to_thread(self._run, places, keep_here))
        except BaseExceptionGroup as failures:
            raise first_of(failures) from None

    def _run(self, places: list[Place], keep: Any) -> None:
        ray, data = _ray(self._address)
        try:
            for row in self._answered(ray, data, places):
                keep(self._finished(row))
        finally:
            if self._address == LOCAL:
                ray.shutdown()

    def _answered(self, ray: Any, data: Any, places: list[Place]) -> Iterator[Mapping[str, Any]]:
        from headrace.lifecycle.batches.ray_worker import PartWorker

        items = [
            {"index": place.index, "start": place.start, "mark": _no_none(place.mark)}
            for place in places
        ]
        actors = max(1, min(len(places), int(ray.cluster_resources().get("CPU", 1))))
        answered = data.from_items(items, override_num_blocks=len(items)).map_batches(
            PartWorker,
            fn_constructor_args=(self._work, self._settings),
            batch_size=1,
            compute=data.ActorPoolStrategy(size=actors),
            num_cpus=1,
        )
        yield from answered.iter_rows()

    def _finished(self, row: Mapping[str, Any]) -> FinishedPart:
        told = json.loads(row["told"])
        if "error" in told:
            raise _error(told["error"])
        self.requests += told["requests"]
        content = bytes(row["content"])
        refusals = tuple(Refusal(**each) for each in told["refusals"])
        return FinishedPart(
            told["index"],
            told["rows"],
            refusals,
            told["failed"],
            told["mark"],
            lambda path: _write(path, content),
        )


def missing_places(source: TableSource, journal: Journal) -> Iterator[Place]:
    """Yield where each part begins that is not finished; texts are read once to find that."""
    plan, done, count = journal.plan, frozenset(journal.parts), source.count()
    size = plan.rows_per_part
    for first, mark in list(journal.missing()):
        limit = plan.limit if plan.limit is not None else float("inf")
        if count is not None:
            for index in range(first, -(-int(min(count, limit)) // size)):
                if index in done:
                    break
                yield Place(index, index * size, None)
            continue
        for index, rows in enumerate(source.chunks(size, first * size, mark), first):
            if index in done or rows.start >= limit:
                break
            yield Place(index, rows.start, mark)
            mark = rows.mark


def _ray(address: str) -> tuple[Any, Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)
    ray = from_extra("ray", "--ray", "ray")
    data = from_extra("ray.data", "--ray", "ray")
    try:
        ray.init(
            address=address,
            include_dashboard=False if address == LOCAL else None,
            log_to_driver=False,
            logging_level="ERROR",
            ignore_reinit_error=True,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise errors.Unavailable("RAY_UNREACHABLE", f"no Ray at {address}: {error}") from error
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return ray, data


def _no_none(mark: int | None) -> int:
    return -1 if mark is None else mark


def _error(told: Mapping[str, str]) -> errors.HeadraceError:
    kind = getattr(errors, told["kind"], errors.Internal)
    error: errors.HeadraceError = kind(told["reason"], told["message"])
    return error


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
