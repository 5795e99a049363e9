"""Load from h2load over HTTP/1.1: a closed loop of POSTs with one body."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.load import TIMEOUT_SECONDS, Load, steady_rate
from benchmarks.request_bodies import HttpRequest

_ENDLESS = 10**8


def run_http(address: str, request: HttpRequest, connections: int, requests: int) -> Load:
    """Send so many requests, one at a time on each connection. Raises RuntimeError for other than 200."""
    with tempfile.TemporaryDirectory() as folder:
        data, log = Path(folder) / "body", Path(folder) / "log"
        data.write_bytes(request.body)
        command = [
            *_command(address, request, data, connections),
            *(f"--requests={requests}", f"--log-file={log}", _url(address, request)),
        ]
        output = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS
        ).stdout
        calls = np.loadtxt(log, dtype=np.int64, usecols=(0, 1, 2))
    started, status, took = calls.T
    if (status != 200).any() or len(status) != requests:
        raise RuntimeError(f"not every request was answered:\n{output}")
    p50, p99 = np.percentile(took, [50, 99]) / 1000
    return Load(requests, steady_rate(started + took, connections), float(p50), float(p99))


@contextlib.contextmanager
def open_http_callers(address: str, request: HttpRequest, connections: int) -> Iterator[None]:
    """So many callers, each with one request in flight, until this is left. Raises where one ended."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "body"
        data.write_bytes(request.body)
        command = [*_command(address, request, data, connections), f"--requests={_ENDLESS}"]
        process = subprocess.Popen([*command, _url(address, request)], stdout=subprocess.DEVNULL)
        try:
            yield
            if process.poll() is not None:
                raise RuntimeError("the callers of REST ended early")
        finally:
            process.kill()
            process.wait()


def _command(address: str, request: HttpRequest, data: Path, connections: int) -> list[str]:
    return [
        *("h2load", "--h1", f"--clients={connections}", f"--data={data}"),
        *(f"--header={header}" for header in request.headers),
    ]


def _url(address: str, request: HttpRequest) -> str:
    return f"http://{address}{request.path}"
