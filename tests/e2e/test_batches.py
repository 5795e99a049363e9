"""`headrace batch` against a whole suite: killed again and again, by sessions, and on Ray."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from headrace.lifecycle.batches.journal import journal_folder
from tests.suite import RunningSuite, running_suite
from tests.unit.headrace.lifecycle.graphs import linear

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]
ROWS = 20_000
KILLS = 20


@asynccontextmanager
async def suite_with_rows(tmp_path: Path) -> AsyncIterator[tuple[RunningSuite, Path]]:
    """A suite that serves a graph of whole numbers, and rows for it."""
    graph, rows = tmp_path / "linear.onnx", tmp_path / "rows.csv"
    graph.write_bytes(linear([[1.0, 2.0], [10.0, 20.0]], [1.0, 3.0]))
    lines = (f"r{place},{place},{place % 7}\n" for place in range(ROWS))
    rows.write_text("".join(["id,x[0],x[1]\n", *lines]))
    async with running_suite(tmp_path) as suite:
        assert 0 == await run(suite, "push", "linear", graph)
        yield suite, rows


async def started(suite: RunningSuite, *arguments: object) -> asyncio.subprocess.Process:
    """A command that has begun."""
    addresses = {"HEADRACE_REGISTRY": suite.registry, "HEADRACE_INFERENCE": suite.inference}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headrace.cli", *map(str, arguments)),
        env=dict(os.environ) | addresses | {"XDG_CACHE_HOME": str(suite.data / "cache")},
        stdout=asyncio.subprocess.DEVNULL,
    )


async def run(suite: RunningSuite, *arguments: object) -> int:
    """The exit status of a command."""
    return await (await started(suite, *arguments)).wait()


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
async def test_output_after_twenty_kills_is_that_of_one_run(form: str, tmp_path: Path) -> None:
    """Kill -9 at random points of the run, and then once more without."""
    chance = random.Random(14)
    async with suite_with_rows(tmp_path) as (suite, rows):
        once, out = tmp_path / f"once.{form}", tmp_path / f"out.{form}"
        options = ("--input", rows, "--keep", "id", "--rows-per-part", 300)
        assert 0 == await run(suite, "batch", "linear", *options, "--output", once)
        kills = 0
        while kills < KILLS:
            kills += await killed(suite, out, chance, "batch", "linear", *options, "--output", out)
        if not out.exists():
            assert 0 == await run(suite, "batch", "linear", *options, "--output", out)
        assert once.read_bytes() == out.read_bytes()


async def killed(suite: RunningSuite, out: Path, chance: random.Random, *arguments: object) -> int:
    """1 where a command was killed a moment after it had begun a journal; 0 where it was done before.

    Then its output is thrown away, and the next begins anew.
    """
    process = await started(suite, *arguments)
    plan = journal_folder(out) / "plan.json"
    while not plan.exists() and process.returncode is None:  # noqa: ASYNC110  # of another process
        await asyncio.sleep(0.005)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), chance.uniform(0, 0.25))
    if process.returncode is None:
        process.kill()
        await process.wait()
        return 1
    assert 0 == process.returncode
    await asyncio.to_thread(out.unlink)
    return 0


async def test_sessions_of_this_process_give_the_same(tmp_path: Path) -> None:
    """ONNX Runtime without a replica, from the files by digest."""
    async with suite_with_rows(tmp_path) as (suite, rows):
        for name, options in (("served", ()), ("local", ("--local-session",))):
            out = tmp_path / f"{name}.csv"
            arguments = ("--input", rows, "--output", out, *options)
            assert 0 == await run(suite, "batch", "linear", *arguments)
        assert (tmp_path / "served.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()


@pytest.mark.skipif(find_spec("ray") is None, reason="no Ray in this environment")
async def test_ray_gives_the_same_and_goes_on_too(tmp_path: Path) -> None:
    """By sessions in actors, by replicas, and where a run on this machine was killed."""
    async with suite_with_rows(tmp_path) as (suite, rows):
        here = tmp_path / "here.parquet"
        options = ("--input", rows, "--keep", "id", "--rows-per-part", 3000)
        assert 0 == await run(suite, "batch", "linear", *options, "--output", here)
        for name, more in (("sessions", ()), ("replicas", ("--through-replicas",))):
            out = tmp_path / f"{name}.parquet"
            ray = ("--ray", "local", *more)
            assert 0 == await run(suite, "batch", "linear", *options, "--output", out, *ray)
            assert here.read_bytes() == out.read_bytes()
        begun = tmp_path / "begun.parquet"
        process = await started(
            suite, "batch", "linear", *options, "--output", begun, "--local-session"
        )
        parts = journal_folder(begun) / "parts.jsonl"
        while not parts.exists() and process.returncode is None:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.002)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if not begun.exists():
            assert json.loads((journal_folder(begun) / "plan.json").read_text())["version"] == 1
            ray = ("--ray", "local")
            assert 0 == await run(suite, "batch", "linear", *options, "--output", begun, *ray)
        assert here.read_bytes() == begun.read_bytes()
