"""Suites of this checkout, of another one, and peers, each with all of its addresses and processes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

import headrace
from benchmarks.load import Load
from benchmarks.models import Measured
from headrace.addresses import NO_PROXY
from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from headrace.service.parent_death import tether

HERE = Path(__file__).resolve().parent.parent
READY_SECONDS = 300.0

_COUNTED_SECONDS = 0.2
"""In how long a server that counts late has counted the requests that it has answered."""

_QUIET_SHARE = 0.08
"""Of a core: what a suite uses that has nothing to do, and measures no model in the background."""


@dataclass(slots=True)
class Side:
    """Something to send load to, on both wires, and the processes that serve.

    `all_grpc` are the addresses of all replicas, which count each for themselves.
    """

    name: str
    grpc: str
    http: str = ""
    pids: tuple[int, ...] = ()
    all_grpc: tuple[str, ...] = ()
    counts_late: bool = False
    suite_pids: tuple[int, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    """What its server is asked with how many requests it answered."""

    def successes(self, names: Sequence[str]) -> int:
        """Return how many requests for these models it says that it answered well."""
        if self.counts_late:
            time.sleep(_COUNTED_SECONDS)
        return sum(
            _successes(address, name, self.metadata)
            for address in self.all_grpc or (self.grpc,)
            for name in dict.fromkeys(names)
        )

    def cpu(self) -> dict[int, float]:
        """The processor seconds of each serving process and its children."""
        return _cpu_of(self.pids)

    def metered(self, names: Sequence[str], work: Callable[[Side], Load]) -> Load:
        """Do the work, and add the CPU a request. Raises RuntimeError where the server's count differs."""
        before, cpu = self.successes(names), self.cpu()
        result = work(self)
        result.cpu_us = spent(cpu, self.cpu()) / result.requests * 1e6
        answered = self.successes(names) - before
        if answered != result.requests:
            raise RuntimeError(
                f"{self.name} counts {answered} well answered of {result.requests} requests"
            )
        return result

    def settle(self, most_seconds: float = 90.0) -> None:
        """Wait until its processes do nothing, for versions may be measured after they are ready."""
        pids, end, quiet = self.suite_pids or self.pids, time.monotonic() + most_seconds, 0
        while pids and quiet < 2 and time.monotonic() < end:
            before = _cpu_of(pids)
            time.sleep(1)
            quiet = quiet + 1 if spent(before, _cpu_of(pids)) < _QUIET_SHARE * len(pids) else 0


def spent(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """The processor seconds between two looks, of processes that were there at both."""
    return sum(after[pid] - before[pid] for pid in before.keys() & after.keys())


def _cpu_of(pids: Sequence[int]) -> dict[int, float]:
    return {each: seconds for pid in pids for each, seconds in _cpu_of_tree(pid)}


def _cpu_of_tree(pid: int) -> Iterator[tuple[int, float]]:
    folder = Path(f"/proc/{pid}")
    with contextlib.suppress(OSError):
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        yield pid, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        for task in (folder / "task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _cpu_of_tree(int(child))


def _successes(address: str, model: str, metadata: tuple[tuple[str, str], ...]) -> int:
    with grpc.insecure_channel(address, options=[NO_PROXY]) as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        answer = stub.ModelStatistics(pb.ModelStatisticsRequest(name=model), metadata=metadata)
    return sum(int(item.inference_stats.success.count) for item in answer.model_stats)


def peer_side(text: str) -> Side:
    """Another server of the protocol, of `NAME=HOST:PORT[,HTTP_PORT][@PID]`."""
    name, _, rest = text.partition("=")
    addresses, _, pid = rest.partition("@")
    address, _, http_port = addresses.partition(",")
    http = f"{address.rpartition(':')[0]}:{http_port}" if http_port else ""
    return Side(name, address, http, (int(pid),) if pid else (), counts_late=True)


@dataclass(slots=True)
class Suite:
    """A running `headrace up`: its side, a client of it, and how long it took to be ready."""

    side: Side
    client: headrace.Client
    process: subprocess.Popen[str]
    ready: Mapping[str, object]
    ready_seconds: float

    def push(self, model: Measured) -> float:
        """Push a model, and return after how many seconds it served."""
        started = time.monotonic()
        version = self.client.push(model.name, model.graph(), timeout_seconds=READY_SECONDS)
        self.client.wait_until_ready(model.name, version.number, timeout_seconds=READY_SECONDS)
        return time.monotonic() - started


def python_of(checkout: Path) -> str:
    """The interpreter of a checkout's environment; ours may lie elsewhere."""
    return sys.executable if checkout == HERE else str(checkout / ".venv" / "bin" / "python")


@contextlib.contextmanager
def open_suite_of(
    name: str,
    checkout: Path,
    data: Path,
    options: Sequence[str] = (),
    token_file: Path | None = None,
) -> Iterator[Suite]:
    """`headrace up` of a checkout with an environment of its own; ended on leaving.

    The token in the file is what its client calls with.
    """
    command = [*tether(), python_of(checkout), "-m", "headrace.cli", "up", "--port=0", "--json"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["HEADRACE_INFERENCE_TRACE_FILE"] = str(data.with_name(f"{data.name}.traces"))
    started = time.monotonic()
    with data.with_name(f"{data.name}.log").open("a") as log:
        process = subprocess.Popen(
            [*command, f"--data={data}", *options],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=checkout,
            env=environment,
        )
    try:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        took = time.monotonic() - started
        side = _side_of(name, ready, process.pid)
        with headrace.Client(
            registry=ready["registry"],
            inference=side.grpc,
            monitor=ready["monitor"],
            token_file=token_file,
        ) as client:
            yield Suite(side, client, process, ready, took)
    finally:
        process.terminate()
        process.wait()


def _side_of(name: str, ready: dict[str, object], pid: int) -> Side:
    replicas = ready["inference"]
    assert isinstance(replicas, list)
    shared = ready.get("shared")
    front = shared if isinstance(shared, dict) else replicas[0]
    addresses = tuple(each["grpc"] for each in replicas)
    pids = tuple(each["pid"] for each in replicas)
    return Side(name, front["grpc"], front["http"], pids, addresses, suite_pids=(pid,))
