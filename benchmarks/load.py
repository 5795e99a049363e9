"""Load from h2load: a closed loop of gRPC calls with one body, timed call by call."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

PATH = "/inference.GRPCInferenceService/ModelInfer"
STREAMS_PER_CONNECTION = 16
TIMEOUT_SECONDS = 120
_UNFINISHED = -1


@dataclass(slots=True)
class Load:
    """The figures of one run: requests a second, latencies, and the server's CPU time a request."""

    requests: int
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float = 0.0


def require_h2load() -> None:
    """End with what to install if the load generator is missing."""
    if shutil.which("h2load") is None:
        sys.exit(
            "h2load is missing: `apt-get install nghttp2-client` (Debian), `brew install nghttp2`"
        )


def grpc_frame(message: bytes) -> bytes:
    """A message as one gRPC data frame's body."""
    return b"\0" + struct.pack(">I", len(message)) + message


def run(address: str, body: bytes, in_flight: int, requests: int) -> Load:
    """Send `requests` calls, `in_flight` at a time. Raises RuntimeError where any got no HTTP 200."""
    output, log_of_calls = _h2load(
        address, body, in_flight, STREAMS_PER_CONNECTION, f"--requests={requests}"
    )
    started, status, took = log_of_calls.T
    if (status != 200).any() or len(status) != requests:
        raise RuntimeError(f"not every request was answered:\n{output}")
    p50, p99 = np.percentile(took, [50, 99]) / 1000
    return Load(requests, steady_rate(started + took, in_flight), float(p50), float(p99))


def run_for(
    address: str,
    body: bytes,
    in_flight: int,
    streams_per_connection: int,
    seconds: float,
    headers: Sequence[str] = (),
) -> Load:
    """Send calls for so long, as many on each connection as it can; those unanswered by then do not count.

    `run` gives all connections the same number of calls: behind a port that several processes share, some
    would be done long before the others. Raises RuntimeError where any got another status than HTTP 200.
    """
    output, log_of_calls = _h2load(
        address,
        body,
        in_flight,
        streams_per_connection,
        f"--duration={int(seconds * 1000)}ms",
        headers,
    )
    started, status, took = log_of_calls[log_of_calls[:, 1] != _UNFINISHED].T
    if (status != 200).any() or len(status) <= 2 * in_flight:
        raise RuntimeError(f"not every request was answered:\n{output}")
    p50, p99 = np.percentile(took, [50, 99]) / 1000
    return Load(len(status), steady_rate(started + took, in_flight), float(p50), float(p99))


def _h2load(
    address: str,
    body: bytes,
    in_flight: int,
    streams_per_connection: int,
    limit: str,
    headers: Sequence[str] = (),
) -> tuple[str, npt.NDArray[np.int64]]:
    """Return what it prints, and of each call when it began (µs), its status, and how long it took (µs)."""
    connections = -(-in_flight // streams_per_connection)
    origin = address if "://" in address else f"http://{address}"
    with tempfile.TemporaryDirectory() as folder:
        data, log = Path(folder) / "body", Path(folder) / "log"
        data.write_bytes(body)
        command = [
            *("h2load", limit, f"--clients={connections}"),
            *("--window-bits=24", "--connection-window-bits=26"),
            *(f"--max-concurrent-streams={in_flight // connections}", f"--data={data}"),
            *("--header=content-type: application/grpc", "--header=te: trailers"),
            *(f"--header={header}" for header in headers),
            *(f"--log-file={log}", f"{origin}{PATH}"),
        ]
        output = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS
        ).stdout
        return output, np.loadtxt(log, dtype=np.int64, usecols=(0, 1, 2))


def steady_rate(answered_us: npt.NDArray[np.int64], in_flight: int) -> float:
    """Answers a second while as many requests as asked for were in flight, by when each came.

    Connecting, the first requests and the last ones, which have a shrinking number beside them, do not
    count. It is the slope of a line through all answers: those of a batch come at once, so that counting
    between two of them is off by up to a batch.
    """
    steady = np.sort(answered_us)[in_flight:-in_flight] / 1e6
    slope, _ = np.polyfit(steady - steady[0], np.arange(len(steady)), 1)
    return float(slope)
