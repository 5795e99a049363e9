"""Is the native front fast enough? One model, one run, four servers in turn, and their ratios.

    python -m benchmarks.first [--rounds N] [--seconds S]

The 16→32→4 MLP, one row a request, at 1 and at 64 in flight: `headrace up` with the native front, `headrace
up` with the grpcio front (both with everything on: registry, monitor, telemetry, statistics, validation,
routing), an empty native front that answers the same bytes, and ONNX Runtime in a loop without any
network. The servers take turns in every round, so that a change of the machine's pace hits all alike.
Ratios are medians over rounds. Every answer is counted by the server itself, and no error is allowed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import headrace
from benchmarks import load, models
from headrace.inference import grpc_service_pb2 as pb

MODEL = "mlp"
IN_FLIGHT = (1, 64)
NATIVE, GRPCIO, EMPTY, BARE = (
    "native front",
    "grpcio front",
    "empty native front",
    "bare ONNX Runtime",
)
TARGETS = {
    "native front / grpcio front, 64 in flight": 5.0,
    "native front / empty native front, 64 in flight": 0.5,
}


@dataclass(slots=True)
class Server:
    """Something to send load to, and what it gave by in-flight count."""

    name: str
    address: str
    client: headrace.Client | None = None
    loads: dict[int, list[load.Load]] = field(default_factory=dict)

    def rates(self, in_flight: int) -> list[float]:
        """The rates of all rounds."""
        return [result.rate for result in self.loads[in_flight]]


def request() -> bytes:
    """One row of the MLP's input as a ModelInferRequest."""
    message = pb.ModelInferRequest(model_name=MODEL)
    message.inputs.add(name="x", datatype="FP32", shape=[1, 16])
    message.raw_input_contents.append(np.linspace(-1, 1, 16, dtype=np.float32).tobytes())
    return message.SerializeToString()


@contextlib.contextmanager
def suite(front: str, folder: Path) -> Iterator[Server]:
    """`headrace up` with a front, and the MLP served."""
    data = folder / front
    command = [sys.executable, "-m", "headrace.cli", "up", "--port=0", "--json", f"--front={front}"]
    with (folder / f"{front}.log").open("w") as log:
        process = subprocess.Popen(
            [*command, f"--data={data}"], stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        address = ready["inference"][0]["grpc"]
        with headrace.Client(
            registry=ready["registry"], inference=address, monitor=ready["monitor"]
        ) as client:
            version = client.push(MODEL, models.mlp())
            client.wait_until_ready(MODEL, version.number)
            yield Server(NATIVE if front == "native" else GRPCIO, address, client)
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
        yield Server(EMPTY, process.stdout.readline().strip())
    finally:
        process.communicate()


def answer_of(server: Server) -> bytes:
    """What the server answers to the request, as bytes on the wire."""
    import grpc

    with grpc.insecure_channel(server.address) as channel:
        call: Any = channel.unary_unary(load.PATH)
        return bytes(call(request()))


def bare_rate(seconds: float) -> float:
    """Runs a second of ONNX Runtime in a loop, one row each, one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        models.mlp(), options, providers=["CPUExecutionProvider"]
    )
    feed = {"x": np.linspace(-1, 1, 16, dtype=np.float32).reshape(1, 16)}
    runs, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        for _ in range(100):
            session.run(["y"], feed)
        runs += 100
    return runs / passed


def measure(server: Server, in_flight: int, seconds: float) -> None:
    """One round: as many requests as the last round says fit into the time."""
    results = server.loads.setdefault(in_flight, [])
    pace = results[-1].rate if results else load.run(server.address, BODY, in_flight, 2000).rate
    before = _successes(server)
    result = load.run(server.address, BODY, in_flight, max(500, int(pace * seconds)))
    after = _successes(server)
    if after is not None and before is not None and after - before != result.requests:
        raise RuntimeError(
            f"{server.name} counted {after - before} of {result.requests} as answered well"
        )
    results.append(result)


def _successes(server: Server) -> int | None:
    """How many requests the server says it answered well."""
    if server.client is None:
        return None
    import grpc

    from headrace.inference import grpc_service_pb2_grpc as pb_grpc

    with grpc.insecure_channel(server.address) as channel:
        answer = pb_grpc.GRPCInferenceServiceStub(channel).ModelStatistics(
            pb.ModelStatisticsRequest(name=MODEL, version="1")
        )
    return int(answer.model_stats[0].inference_stats.success.count)


BODY = load.grpc_frame(request())


def ratio(above: Server, below: Server, in_flight: int) -> float:
    """The median over rounds of one server's rate over another's in the same round."""
    pairs = zip(above.rates(in_flight), below.rates(in_flight), strict=True)
    return statistics.median(one / other for one, other in pairs)


def report(servers: list[Server], bare: list[float]) -> dict[str, float]:
    """Print the table and give the ratios by name."""
    print(f"\n{'':22}{'in flight':>10}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}")
    for in_flight in IN_FLIGHT:
        for server in servers:
            rate = statistics.median(server.rates(in_flight))
            p50 = statistics.median(result.p50_ms for result in server.loads[in_flight])
            p99 = statistics.median(result.p99_ms for result in server.loads[in_flight])
            print(f"{server.name:22}{in_flight:>10}{rate:>12,.0f}{p50:>9.3f}{p99:>9.3f}")
    print(f"{BARE:22}{'-':>10}{statistics.median(bare):>12,.0f}")
    by_name = {server.name: server for server in servers}
    ratios = {
        f"{NATIVE} / {other}, {in_flight} in flight": ratio(
            by_name[NATIVE], by_name[other], in_flight
        )
        for in_flight in IN_FLIGHT
        for other in (GRPCIO, EMPTY)
    }
    print("\nratios of rates, medians of the same round:")
    for name, value in ratios.items():
        target = f"   (to reach: {TARGETS[name]})" if name in TARGETS else ""
        print(f"  {name:50}{value:6.2f}{target}")
    return ratios


def main() -> int:
    """Measure, print, and say by the exit status whether the targets were reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of load, a server and round")
    arguments = parser.parse_args()
    load.require_h2load()
    print(
        f"{os.cpu_count()} cores, load generator included, ONNX Runtime {onnxruntime.__version__}"
    )
    bare: list[float] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        native = stack.enter_context(suite("native", folder))
        grpcio = stack.enter_context(suite("grpcio", folder))
        empty = stack.enter_context(empty_front(answer_of(native), folder))
        servers = [native, grpcio, empty]
        for number in range(arguments.rounds):
            print(f"round {number + 1} of {arguments.rounds}", flush=True)
            bare.append(bare_rate(arguments.seconds / 2))
            for in_flight in IN_FLIGHT:
                for server in servers:
                    measure(server, in_flight, arguments.seconds)
        ratios = report(servers, bare)
    missed = [name for name, target in TARGETS.items() if ratios[name] < target]
    for name in missed:
        print(f"not reached: {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
