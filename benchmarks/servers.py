"""Runs the servers under measurement: suites, the empty front, peers; and reads their figures."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np

import headrace
from benchmarks import load
from benchmarks.models import Measured
from headrace.addresses import NO_PROXY
from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from headrace.service.parent_death import tether

NATIVE, GRPCIO, EMPTY = "native front", "grpcio front", "empty native front"
TURNS = 20
"""How often at least every request in flight is answered and replaced, however slow the model."""

_COUNTED_SECONDS = 0.2
"""In how long a server that counts late has counted the requests that it has answered."""

_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    NO_PROXY,
]


@dataclass(slots=True)
class Server:
    """Something to send load to. `pid` is the serving process, if known; `counts`, if it counts, and
    `counts_late`, if it may do so after it has answered."""

    name: str
    address: str
    pid: int | None = None
    counts: bool = True
    counts_late: bool = False
    http: str = ""
    loads: dict[int, list[load.Load]] = field(default_factory=dict)

    def rates(self, in_flight: int) -> list[float]:
        """The rates of all rounds."""
        return [result.rate for result in self.loads[in_flight]]

    def measure(self, model: Measured, in_flight: int, seconds: float) -> load.Load:
        """One round: as many requests as fit into the time at the last round's pace, and `TURNS` at least.

        Raises RuntimeError where the server did not answer every one of them well.
        """
        results = self.loads.setdefault(in_flight, [])
        body = load.grpc_frame(request_for(model))
        first = max(in_flight * 4, 20)
        pace = results[-1].rate if results else load.run(self.address, body, in_flight, first).rate
        requests = max(in_flight * TURNS, int(pace * seconds))
        before, cpu_before = self._successes(model), self.cpu_seconds()
        result = load.run(self.address, body, in_flight, requests)
        result.cpu_us = (self.cpu_seconds() - cpu_before) / requests * 1e6
        answered = self._successes(model) - before
        if self.counts and answered != requests:
            raise RuntimeError(f"{self.name} answered {answered} of {requests} requests well")
        results.append(result)
        return result

    def _successes(self, model: Measured) -> int:
        """Return how many requests for the model the server says it answered well."""
        if not self.counts:
            return 0
        if self.counts_late:
            time.sleep(_COUNTED_SECONDS)
        with grpc.insecure_channel(self.address, options=[NO_PROXY]) as channel:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)
            answer = stub.ModelStatistics(pb.ModelStatisticsRequest(name=model.name))
        return sum(int(item.inference_stats.success.count) for item in answer.model_stats)

    def cpu_seconds(self) -> float:
        """Return what the serving process has used of all cores; 0 where that cannot be read."""
        if self.pid is None or not sys.platform.startswith("linux"):
            return 0.0
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def request_for(model: Measured) -> bytes:
    """One row of the model as a ModelInferRequest."""
    message = pb.ModelInferRequest(model_name=model.name)
    message.inputs.add(name=model.input_name, datatype=model.datatype, shape=model.row.shape)
    message.raw_input_contents.append(model.row.tobytes())
    return message.SerializeToString()


def answer_of(server: Server, model: Measured) -> bytes:
    """Return what the server answers to that request, as bytes on the wire."""
    with grpc.insecure_channel(server.address, options=_CHANNEL_OPTIONS) as channel:
        call: Any = channel.unary_unary(load.PATH)
        return bytes(call(request_for(model)))


def peer(text: str) -> Server:
    """Another server of the protocol, of `NAME=HOST:PORT`, or `NAME=HOST:PORT@PID` to count its CPU."""
    name, _, rest = text.partition("=")
    address, _, pid = rest.partition("@")
    return Server(name, address, int(pid) if pid else None, counts_late=True)


def require_same_answer(server: Server, other: Server, model: Measured) -> None:
    """Raises RuntimeError where the two do not answer the model's request with the same FP32 numbers."""
    first, second = (
        np.frombuffer(
            pb.ModelInferResponse.FromString(answer_of(one, model)).raw_output_contents[0],
            np.float32,
        )
        for one in (server, other)
    )
    if first.shape != second.shape or not np.allclose(first, second, rtol=1e-3, atol=1e-3):
        raise RuntimeError(f"{other.name} does not answer {model.name} as {server.name} does")


@contextlib.contextmanager
def suite(front: str, folder: Path, models: Sequence[Measured]) -> Iterator[Server]:
    """`headrace up` with a front, everything on, and the models served as proposed; it ends with us."""
    with open_suite(front, folder, models) as (server, _):
        yield server


@contextlib.contextmanager
def open_suite(
    front: str, folder: Path, models: Sequence[Measured]
) -> Iterator[tuple[Server, headrace.Client]]:
    """The same, with a client of it."""
    command = [*tether(), sys.executable, "-m", "headrace.cli", "up", "--port=0", "--json"]
    with (folder / f"{front}.log").open("w") as log:
        process = subprocess.Popen(
            [*command, f"--front={front}", f"--data={folder / front}"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        address = ready["inference"][0]["grpc"]
        with headrace.Client(
            registry=ready["registry"], inference=address, monitor=ready["monitor"]
        ) as client:
            for model in models:
                version = client.push(model.name, model.graph())
                client.wait_until_ready(model.name, version.number, timeout_seconds=120)
            name = NATIVE if front == "native" else GRPCIO
            replica = ready["inference"][0]
            yield Server(name, address, replica["pid"], http=replica["http"]), client
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def empty_front(answer: bytes, folder: Path) -> Iterator[Server]:
    """The empty native front with this answer."""
    path = folder / "answer"
    path.write_bytes(answer)
    script = Path(__file__).with_name("empty_front.py")
    process = subprocess.Popen(
        [sys.executable, script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        yield Server(EMPTY, process.stdout.readline().strip(), process.pid, counts=False)
    finally:
        process.communicate()
