"""Under kills, pauses and lost history: what was acknowledged stays, what is served is what was pushed."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from tests.faults.clock import open_clock
from tests.faults.history import Kind
from tests.faults.nemesis import Fault, Nemesis
from tests.faults.run import Result, run

SECONDS = float(os.environ.get("FAULTS_SECONDS", "12"))
"""How long each of the runs does harm."""
SEED = int(os.environ.get("FAULTS_SEED", "0")) or random.randrange(1, 1 << 30)

pytestmark = [
    pytest.mark.faults,
    pytest.mark.toolchain,
    pytest.mark.timeout(SECONDS + 300),
]


def crashes(nemesis: Nemesis) -> list[Fault]:
    """Faults after which nothing that was acknowledged may be gone."""
    return [
        nemesis.kill_process,
        nemesis.kill_process,
        nemesis.kill_state,
        nemesis.pause_process,
        nemesis.pause_state,
        nemesis.kill_paused_writer,
    ]


def losses(nemesis: Nemesis) -> list[Fault]:
    """Faults of the state's server after which the newest changes are gone, among others."""
    return [nemesis.cut_tail, nemesis.restore, nemesis.back_up, nemesis.kill_process]


def clock_steps(nemesis: Nemesis) -> list[Fault]:
    """Faults of the wall clock."""
    return [nemesis.set_clock, nemesis.set_clock, nemesis.kill_process, nemesis.kill_state]


async def test_nothing_acknowledged_is_lost_by_kills_and_pauses(tmp_path: Path) -> None:
    """Of services, of the state's server, and of a registry whose write is on its way."""
    _judge(await run(tmp_path, crashes, SECONDS, SEED))


async def test_a_state_that_went_back_is_no_other_truth(tmp_path: Path) -> None:
    """No number is used again, no replica answers with other bytes, no watcher mixes two histories."""
    _judge(await run(tmp_path, losses, SECONDS, SEED))


async def test_a_clock_that_is_set_loses_nothing(tmp_path: Path) -> None:
    """Of services and of the state's server, by minutes and by most of a day, with kills in between."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    with open_clock(tmp_path) as clock:
        _judge(await run(tmp_path, clock_steps, SECONDS / 2, SEED, clock))


def _judge(result: Result) -> None:
    print(f"\nseed {SEED}: {result}")
    for kind in Kind:
        assert any(result.history.acknowledged(kind)), (
            f"no {kind} was acknowledged: nothing was tried"
        )
    assert not result.findings, f"seed {SEED}"
