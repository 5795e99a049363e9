"""The user's command: what it prints is kept, and nothing of it is left when it is stopped."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from headrace.errors import FailedPrecondition
from headrace.lifecycle.retraining.commands import end_leftover, run_command

CHILD = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path("pids").write_text(str(child.pid))
time.sleep(60)
"""


async def run(folder: Path, code: str, seconds: float = 30) -> None:
    log = folder / "train.log"
    await run_command([sys.executable, "-c", code], folder, {"GIVEN": "7"}, log, seconds)


async def test_its_output_and_its_surroundings(tmp_path: Path) -> None:
    """It runs in the folder, has the environment, and both of its outputs are kept."""
    code = (
        "import os, sys; print(os.environ['GIVEN'], os.getcwd(), flush=True); sys.stderr.write('e')"
    )
    await run(tmp_path, code)
    assert {"train.log": f"7 {tmp_path}\ne"} == contents(tmp_path)


@pytest.mark.parametrize(
    ("code", "wrong"), [("raise SystemExit('no data')", "status 1.*\n*no data")]
)
async def test_a_failure_shows_the_end_of_the_output(code: str, wrong: str, tmp_path: Path) -> None:
    """The reason stands in the message, and where the rest is."""
    with pytest.raises(FailedPrecondition, match="(?s)" + wrong):
        await run(tmp_path, code)


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(FailedPrecondition, match="'no-such-program' cannot be run"):
        await run_command(["no-such-program"], tmp_path, {}, tmp_path / "train.log", 5)


async def test_what_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    """After the time that it was given."""
    with pytest.raises(FailedPrecondition, match="longer than 2 s"):
        await run(tmp_path, CHILD, seconds=2)
    await gone(int((tmp_path / "pids").read_text()))


async def test_a_cancelled_run_leaves_nothing_behind(tmp_path: Path) -> None:
    """Ctrl-C ends the command and what it started."""
    task = asyncio.create_task(run(tmp_path, CHILD))
    while not (tmp_path / "pids").exists() or not (tmp_path / "pids").read_text():  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(int((tmp_path / "pids").read_text()))


def test_what_a_killed_run_left_is_ended(tmp_path: Path) -> None:
    """By its id and when it began; another process with that id is left alone."""
    log = tmp_path / "train.log"
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    )
    began = psutil.Process(process.pid).create_time()
    log.with_suffix(".pid").write_text(f"{process.pid} {began - 100}")
    end_leftover(log)
    assert psutil.Process(process.pid).is_running()
    log.with_suffix(".pid").write_text(f"{process.pid} {began}")
    end_leftover(log)
    asyncio.run(gone(process.pid))
    process.wait()


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


async def gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
