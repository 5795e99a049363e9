"""`make demo-chat` holds: a real language model is imported, asked, and moved under chats."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "chat" / "demo.py"
MAX_SECONDS = 240
"""What a fresh clone is promised."""

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain, pytest.mark.timeout(MAX_SECONDS + 60)]


def test_the_demonstration_holds() -> None:
    """Its exit status says so: right answers, JSON in its schema, no failed chat, no mixed stream."""
    done = subprocess.run(
        [sys.executable, DEMO], capture_output=True, text=True, timeout=MAX_SECONDS, check=False
    )
    assert (0, True) == (done.returncode, "All of it held." in done.stdout), (
        done.stdout + done.stderr
    )
