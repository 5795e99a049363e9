"""How a service process is told to stop: by the end of its input, by a signal, or by both at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

SERVICE = """
import asyncio, os, signal, sys
from headrace.service import serving

async def main(stopping):
    if sys.argv[1] == "signal":
        os.kill(os.getpid(), signal.SIGTERM)
    await stopping.wait()
    for _ in range(int(sys.argv[2])):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(100):
            await asyncio.sleep(0)  # the loop takes the signal up
    print("drained")

sys.exit(serving.run(main, stop_with_stdin=sys.argv[1] == "input"))
"""


@pytest.mark.parametrize(
    ("first", "signals", "status", "drained"),
    [
        ("input", 0, 0, "drained\n"),
        ("input", 1, 0, "drained\n"),  # a supervisor closes the input and signals at once
        ("input", 2, 143, ""),
        ("signal", 0, 0, "drained\n"),
        ("signal", 1, 143, ""),
    ],
)
def test_one_signal_drains(first: str, signals: int, status: int, drained: str) -> None:
    """The first signal lets the service drain, also after the end of its input; the second ends it."""
    ended = subprocess.run(
        [sys.executable, "-c", SERVICE, first, str(signals)],
        input="",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (status, drained) == (ended.returncode, ended.stdout)
