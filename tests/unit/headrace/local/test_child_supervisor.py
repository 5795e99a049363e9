"""Children of the supervisor: readiness, stop, and coming back, with small real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from headrace import errors
from headrace.local.child import Addresses, Running, open_child
from headrace.local.child_supervisor import ChildSupervisor, supervised
from headrace.local.suite import write_status
from tests.suite import wait_for_end

SERVICE = """
import json, os, sys
before, ready_fd = json.loads(sys.argv[1]), int(sys.argv[sys.argv.index("--ready-fd") + 1])
addresses = before or {"grpc": f"127.0.0.1:{os.getpid()}"}
with os.fdopen(ready_fd, "w") as pipe:
    pipe.write(json.dumps(addresses) + "\\n")
sys.stdin.read()
"""
SLOW = (
    """
import os, sys
os.write(int(sys.argv[sys.argv.index("--ready-fd") + 1]), b'{"stage": "joining"}\\n')
open("GATE").read()
"""
    + SERVICE
)
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVICE + "signal.pause()"
PARENT = (
    """
import json, subprocess, sys
sys.argv[1] = json.dumps({"sleep": subprocess.Popen(["sleep", "1000"]).pid})
"""
    + SERVICE
)
MUTE = "import sys; sys.exit(3)"
FIRST_ONLY = """
import pathlib, sys
mark = pathlib.Path(sys.argv[1])
if mark.exists():
    sys.exit(4)
mark.touch()
sys.argv[1] = "{}"
"""


def child(
    script: str, pids: dict[str, int], before: Addresses, grace_seconds: float = 10
) -> AbstractAsyncContextManager[Running]:
    """A run of `script`, as a child called `child`."""
    command = [sys.executable, "-c", script, json.dumps(dict(before))]
    return open_child("child", command, pids, grace_seconds=grace_seconds)


async def test_child_that_is_alive_may_take_any_time_to_be_ready(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A replica that loads large models is not killed for it."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    monkeypatch.setattr("headrace.local.child.START_SECONDS", 1.5)
    pids: dict[str, int] = {}
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        loop.call_later(2.5, lambda: tasks.create_task(asyncio.to_thread(gate.write_text, "")))
        async with child(SLOW.replace("GATE", str(gate)), pids, {}) as running:
            assert {"grpc": f"127.0.0.1:{running.process.pid}"} == running.addresses


async def test_child_tells_its_addresses_and_stops() -> None:
    """The ready line's addresses come through, and leaving ends the process."""
    pids: dict[str, int] = {}
    async with child(SERVICE, pids, {}) as running:
        assert {"child": running.process.pid} == pids
        assert {"grpc": f"127.0.0.1:{running.process.pid}"} == running.addresses
    assert {} == pids
    assert running.process.returncode is not None


async def test_child_that_ignores_its_stop_is_killed() -> None:
    """What neither SIGTERM nor the end of its input stops is killed after the grace."""
    async with child(DEAF, {}, {}, grace_seconds=0.2) as running:
        pass
    assert -signal.SIGKILL == running.process.returncode


async def test_what_a_child_started_ends_with_it() -> None:
    """Nothing is left of the child's process group."""
    async with child(PARENT, {}, {}) as running:
        pass
    await wait_for_end(int(running.addresses["sleep"]))


async def test_child_that_ends_before_it_is_ready_is_an_error() -> None:
    """The error has the child's name and its exit status, and no pid stays behind."""
    pids: dict[str, int] = {}
    with pytest.raises(errors.FailedPrecondition, match="child ended with status 3") as caught:
        await child(MUTE, pids, {}).__aenter__()
    assert ("CHILD_NOT_READY", {}) == (caught.value.reason, pids)


async def test_killed_child_comes_back_on_its_addresses() -> None:
    """After kill -9 there is a new process on the addresses of the old one."""
    pids: dict[str, int] = {}
    changes: asyncio.Queue[int | None] = asyncio.Queue()
    supervisor = ChildSupervisor(
        "child", partial(child, SERVICE, pids), lambda: changes.put_nowait(pids.get("child"))
    )
    async with supervised([supervisor]):
        first, addresses = await changes.get(), dict(supervisor.addresses)
        os.kill(pids["child"], signal.SIGKILL)
        assert await changes.get() is None
        assert await changes.get() not in (None, first)
        assert addresses == dict(supervisor.addresses)
    assert {} == pids


async def test_child_that_cannot_start_at_first_ends_all() -> None:
    """One failed first start stops the children beside it and is raised."""
    pids: dict[str, int] = {}
    good = ChildSupervisor("good", partial(child, SERVICE, pids))
    bad = ChildSupervisor("bad", partial(child, MUTE, {}))
    with pytest.RaisesGroup(errors.FailedPrecondition, flatten_subgroups=True):
        await supervised([good, bad]).__aenter__()
    assert {} == pids


async def test_child_that_fails_later_is_tried_again(tmp_path: Path) -> None:
    """Once ready, a child that cannot start is tried until it can."""
    pids: dict[str, int] = {}
    mark = tmp_path / "started"
    command = [sys.executable, "-c", FIRST_ONLY + SERVICE, str(mark)]
    states: asyncio.Queue[bool] = asyncio.Queue()
    supervisor = ChildSupervisor(
        "child",
        lambda before: open_child("child", command, pids, grace_seconds=10),
        lambda: states.put_nowait("child" in pids),
    )
    async with supervised([supervisor]):
        os.kill(pids["child"], signal.SIGKILL)
        changes = [await states.get() for _ in range(4)]
        assert [True, False, False, False] == changes
        mark.unlink()
        while not await states.get():
            mark.unlink(missing_ok=True)


async def test_stop_while_a_child_starts_is_prompt(tmp_path: Path) -> None:
    """A child that is not ready yet is stopped like one that is."""
    pids: dict[str, int] = {}
    fifo = tmp_path / "started"
    os.mkfifo(fifo)
    script = f"import sys; open({str(fifo)!r}, 'w').close(); sys.stdin.read()"
    opening = asyncio.ensure_future(
        supervised([ChildSupervisor("child", partial(child, script, pids))]).__aenter__()
    )
    await asyncio.to_thread(fifo.read_text)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert {} == pids


async def test_a_program_that_cannot_be_started_is_an_error_with_its_name(tmp_path: Path) -> None:
    """What the system says becomes an expected error: such a start is tried again, and ends nothing."""
    missing = str(tmp_path / "no-such-program")
    with pytest.raises(errors.FailedPrecondition, match="child could not be started") as caught:
        async with open_child("child", [missing], {}, grace_seconds=1):
            pass
    assert "CHILD_NOT_READY" == caught.value.reason


def test_a_status_file_that_cannot_be_written_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk, or a folder that is gone, is a warning: the suite runs on, and writes it again later."""
    file = tmp_path / "gone" / "up.json"
    write_status(file, {"ready": True})
    file.parent.mkdir()
    write_status(file, {"ready": True})
    assert {"ready": True} == json.loads(file.read_text())
    assert ["the suite's status file is old"] == [
        record.getMessage().partition(":")[0] for record in caplog.records
    ]
