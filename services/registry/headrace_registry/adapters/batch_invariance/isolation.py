"""The analysis in a process of its own: ONNX's shape inference can abort the process that it runs in.

Whatever becomes of it means that there is no proof, never that a model is refused.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from headrace import errors
from headrace.service.parent_death import PR_SET_PDEATHSIG
from headrace.state.codec import decode, encode
from headrace_registry.adapters.batch_invariance.analysis import analyse
from headrace_registry.domain.decisions.default_config import BatchInvariance

if TYPE_CHECKING:
    from onnx import ModelProto

MAX_SECONDS = 10.0
"""A graph of a thousand nodes takes less than one."""

_MAX_BYTES = 1 << 16


def analyse_apart(model: ModelProto) -> BatchInvariance:
    """Look for a proof in a fork of this process, which must have no other threads."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _analyse_and_exit(model, writing)
    os.close(writing)
    try:
        output = _read(reading, time.monotonic() + MAX_SECONDS)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    return _proof(output, status)


def _read(reading: int, deadline: float) -> bytes | None:
    """All that is written until the other end is closed; None where that takes too long."""
    output = b""
    while len(output) < _MAX_BYTES:
        ready, _, _ = select.select([reading], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return None
        chunk = os.read(reading, _MAX_BYTES)
        if not chunk:
            break
        output += chunk
    return output


def _proof(output: bytes | None, status: int) -> BatchInvariance:
    if output is None:
        return BatchInvariance(f"the analysis of its graph took more than {MAX_SECONDS:g} s")
    try:
        return decode(BatchInvariance, output)
    except errors.DataLoss:
        return BatchInvariance(f"the analysis of its graph {_ending(status)}")


def _ending(status: int) -> str:
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if ended_by and ended_by != signal.SIGKILL:
        return f"was ended by {signal.Signals(ended_by).name}"
    return "failed"


def _analyse_and_exit(model: ModelProto, writing: int) -> NoReturn:
    """In the fork: nothing that this process would do at its end may happen here."""
    try:
        _limit()
        output = encode(analyse(model))
        os.write(writing, output[:_MAX_BYTES])
    finally:
        os._exit(0)


def _limit() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # the report of the check goes to the first
        os.dup2(nowhere, stream)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    seconds = int(used + MAX_SECONDS) + 1
    if hard == resource.RLIM_INFINITY or seconds < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))
