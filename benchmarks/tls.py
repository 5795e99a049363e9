"""What does TLS cost? The grpcio front and REST of one replica each, in plaintext and over TLS, in turns.

    python -m benchmarks.tls [--rounds N] [--seconds S]

`optional` is the grpcio front where callers may show a certificate: TLS then ends before gRPC. Medians of
all rounds, the rate as a ratio to plaintext in the same run, and the server's CPU time a request.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks import load
from benchmarks.models import IDENTITY, MLP, Measured
from benchmarks.processes import Service, open_service
from benchmarks.servers import request_for
from headrace.tls.authority import Authority, Names

_LIFETIME = timedelta(days=1)
_FIRST_REQUESTS = 200


@dataclass(frozen=True, slots=True)
class Row:
    """A request, sent by so many at a time."""

    name: str
    model: Measured
    in_flight: int
    rest: bool = False


ROWS = (
    Row("gRPC 1", MLP, 1),
    Row("gRPC 64", MLP, 64),
    Row("gRPC 1 MiB, 8", IDENTITY, 8),
    Row("REST 8", MLP, 8, rest=True),
    Row("REST 64", MLP, 64, rest=True),
)


@dataclass(slots=True)
class Side:
    """A replica, and what was measured of it by row."""

    name: str
    service: Service
    scheme: str
    rates: dict[str, list[float]] = field(default_factory=dict)
    cpu_us: dict[str, list[float]] = field(default_factory=dict)

    def measure(self, row: Row, seconds: float) -> None:
        """One round of so many seconds, by the pace of the last one."""
        pace = self.rates[row.name][-1] if row.name in self.rates else 0.0
        requests = max(_FIRST_REQUESTS, row.in_flight * 20, int(pace * seconds))
        before = self.service.cpu_seconds()
        rate = _rate(self, row, requests)
        cpu = (self.service.cpu_seconds() - before) / requests * 1e6
        if pace:  # the first one warms
            self.cpu_us.setdefault(row.name, []).append(cpu)
        self.rates.setdefault(row.name, []).append(rate)


def _rate(side: Side, row: Row, requests: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        body, log = Path(folder) / "body", Path(folder) / "log"
        body.write_bytes(_json(row.model) if row.rest else load.grpc_frame(request_for(row.model)))
        address = side.service.addresses["http" if row.rest else "grpc"]
        path = f"/v2/models/{row.model.name}/infer" if row.rest else load.PATH
        clients = row.in_flight if row.rest else -(-row.in_flight // load.STREAMS_PER_CONNECTION)
        kind = "application/json" if row.rest else "application/grpc"
        command = [
            *("h2load", f"--requests={requests}", f"--clients={clients}", f"--data={body}"),
            *("--window-bits=24", "--connection-window-bits=26", f"--log-file={log}"),
            *(f"--max-concurrent-streams={row.in_flight // clients}",),
            *(("--h1",) if row.rest else ("--header=te: trailers",)),
            *(f"--header=content-type: {kind}", f"{side.scheme}://{address}{path}"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        started, status, took = np.loadtxt(log, dtype=np.int64, usecols=(0, 1, 2)).T
    if (status != 200).any() or len(status) != requests:
        raise RuntimeError(f"not every request was answered:\n{done.stdout}")
    return load.steady_rate(started + took, row.in_flight)


def _json(model: Measured) -> bytes:
    tensor = {
        "name": model.input_name,
        "shape": list(model.row.shape),
        "datatype": model.datatype,
        "data": model.row.ravel().tolist(),
    }
    return json.dumps({"inputs": [tensor]}).encode()


@contextlib.asynccontextmanager
async def _sides(folder: Path) -> AsyncIterator[list[Side]]:
    models = folder / "models"
    for measured in (MLP, IDENTITY):
        (models / measured.name).mkdir(parents=True)
        (models / measured.name / "model.onnx").write_bytes(measured.graph())
    authority = Authority.create("benchmark", _LIFETIME)
    issued = authority.issue(Names(["localhost"], ["127.0.0.1"]), _LIFETIME, serves=True)
    files = {"ca": authority.issued.certificate, "cert": issued.certificate, "key": issued.key}
    for name, contents in files.items():
        (folder / name).write_bytes(contents)
    shown = (f"--tls-cert={folder / 'cert'}", f"--tls-key={folder / 'key'}")
    optional = (*shown, f"--tls-client-ca={folder / 'ca'}", "--tls-client-auth=optional")
    async with contextlib.AsyncExitStack() as stack:
        sides = []
        for name, options in (("plaintext", ()), ("TLS", shown), ("optional", optional)):
            opening = open_service(
                "headrace_inference",
                f"--model-folder={models}",
                f"--data={folder / name}",
                *("--front=grpcio", "--metrics-port=0", "--tuning-seconds=0"),
                *options,
            )
            service = await stack.enter_async_context(opening)
            sides.append(Side(name, service, "https" if options else "http"))
        yield sides


async def _measured(rounds: int, seconds: float) -> list[Side]:
    with tempfile.TemporaryDirectory() as folder:
        async with _sides(Path(folder)) as sides:
            for _ in range(rounds + 2):  # two that find the pace
                for row in ROWS:
                    for side in sides:
                        await asyncio.to_thread(side.measure, row, seconds)
            return sides


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.4)
    given = parser.parse_args()
    load.require_h2load()
    sides = asyncio.run(_measured(given.rounds, given.seconds))
    print(f"{'':<16}{'plaintext':>22}{'TLS':>22}{'optional':>22}")
    for row in ROWS:
        cells = [_cell(side, sides[0], row.name) for side in sides]
        print(f"{row.name:<16}" + "".join(f"{cell:>22}" for cell in cells))


def _cell(side: Side, plain: Side, row: str) -> str:
    rate, reference = (statistics.median(each.rates[row][2:]) for each in (side, plain))
    cpu = statistics.median(side.cpu_us[row][1:])
    shown = f"{rate:,.0f}/s" if side is plain else f"{rate / reference:.2f}"
    return f"{shown}  {cpu:.0f} us"


if __name__ == "__main__":
    main()
