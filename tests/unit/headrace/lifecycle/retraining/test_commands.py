"""The user's command: what it prints is kept, and nothing of it is left when it is stopped."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from headrace.errors import FailedPrecondition
from headrace.lifecycle.retraining.commands import end_all_of, run_command
from headrace.lifecycle.retraining.output_log import OutputLog

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
    """By the folder that it was told to write to, whatever group it is in; others are left alone."""
    mine, other = (
        subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(60)"],
            start_new_session=True,
            env={"HEADRACE_OUT": str(tmp_path / name / "out-1")},
        )
        for name in ("r1", "r10")
    )
    end_all_of(tmp_path / "r1")
    asyncio.run(gone(mine.pid))
    assert other.poll() is None
    end_all_of(tmp_path / "r10")
    asyncio.run(gone(other.pid))
    assert None not in (mine.poll(), other.poll())


DAEMON = """
import pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
pathlib.Path("pids").write_text(str(child.pid))
"""


async def test_a_daemon_is_neither_waited_for_nor_left(tmp_path: Path) -> None:
    """It has a session of its own, and the command's output open."""
    log = tmp_path / "train.log"
    told = {"HEADRACE_OUT": str(tmp_path / "out-1")}
    await run_command([sys.executable, "-c", DAEMON], tmp_path, told, log, 30)
    await gone(int((tmp_path / "pids").read_text()))


async def test_a_command_that_the_system_killed(tmp_path: Path) -> None:
    """The signal is named, and what mostly sends it."""
    with pytest.raises(FailedPrecondition, match=r"ended by SIGKILL: .* memory is short"):
        await run(tmp_path, "import os; os.kill(os.getpid(), 9)")


def test_of_long_output_the_newest_is_kept(tmp_path: Path) -> None:
    """Two parts of it at most."""
    log = OutputLog(tmp_path / "train.log", part_bytes=10)
    for number in range(100):
        log.write(b"%04d\n" % number)
    log.write(b"end")
    log.close()
    assert {"train.log": "end", "train.log.1": "0098\n0099\n"} == contents(tmp_path)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


async def gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
