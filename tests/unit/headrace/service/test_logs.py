"""Log records of a process: what is written at which level."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import logging, sys
from hpack import Decoder, Encoder
from headrace.service import logs
logs.set_up("test", "json", sys.argv[1])
if len(sys.argv) > 2:
    logging.getLogger().setLevel(logging.DEBUG)  # as Triton's log settings do while a replica runs
headers = [("authorization", "Bearer a-secret")]
Decoder().decode(Encoder().encode(headers))
logging.getLogger("headrace.any").debug("ours")
logging.getLogger("hpack").warning("theirs")
"""


def said(*arguments: str) -> str:
    """What a process logs."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def test_packages_do_not_log_what_passes_through_them() -> None:
    """At debug the one for HTTP/2's headers would log every caller's key."""
    for log in (said("debug"), said("info", "verbose")):
        assert "ours" in log
        assert "theirs" in log
        assert "a-secret" not in log


def test_debug_is_off_by_default() -> None:
    """As it was."""
    assert "ours" not in said("info")
