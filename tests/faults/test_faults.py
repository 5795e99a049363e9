"""Under kills, pauses and lost history: what was acknowledged stays, what is served is what was pushed."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.faults.history import Kind
from tests.faults.nemesis import Fault, Nemesis
from tests.faults.run import Result, run

SECONDS = float(os.environ.get("FAULTS_SECONDS", "20"))
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


async def test_nothing_acknowledged_is_lost_by_kills_and_pauses(tmp_path: Path) -> None:
    """Of services, of the state's server, and of a registry whose write is on its way."""
    _judge(await run(tmp_path, crashes, SECONDS, SEED))


def _judge(result: Result) -> None:
    print(f"\nseed {SEED}: {result}")
    for kind in Kind:
        assert any(result.history.acknowledged(kind)), (
            f"no {kind} was acknowledged: nothing was tried"
        )
    assert not result.findings, f"seed {SEED}"
