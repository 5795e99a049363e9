"""Does a replica give back what it takes? Resident memory over a million requests, and over many loads.

    python -m benchmarks.memory [--requests N] [--posted N] [--streamed N] [--loads N]

First the MLP: resident memory of the replica (VmRSS) after 10,000 requests and after a million, at
64 in flight; the same over REST, half of them JSON and half binary; and after 10,000 more on streams and
after 100,000, 64 streams at a time, new ones for each 5 seconds. Then a version with 20 MB of weights is
pushed again and again; the route stays where it is, so that each push loads the new version and unloads the
one before; resident memory is read when the last was followed by a tiny one, after a tenth of the loads and
after all. Both as ratios.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import headrace
from benchmarks import load
from benchmarks.http_load import run_http
from benchmarks.models import MLP
from benchmarks.raw_calls import run_streams
from benchmarks.request_bodies import binary_request, json_request
from benchmarks.servers import Server, open_suite, request_for

MOST = 1.05
CHUNK_REQUESTS = 100_000
STREAMS_SECONDS = 5.0
SETTLE_SECONDS = 3.0
"""Telemetry, statistics and freed memory need a moment after the last request."""


def resident_bytes(pid: int) -> int:
    """VmRSS of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def after_requests(server: Server, requests: int) -> int:
    """Resident memory after so many more requests."""
    body = load.grpc_frame(request_for(MLP))
    for start in range(0, requests, CHUNK_REQUESTS):
        load.run(server.address, body, 64, min(CHUNK_REQUESTS, requests - start))
    time.sleep(SETTLE_SECONDS)
    assert server.pid
    return resident_bytes(server.pid)


def after_posted(server: Server, requests: int) -> int:
    """Resident memory after so many more requests over REST."""
    forms = json_request(MLP), binary_request(MLP)
    for number, start in enumerate(range(0, requests, CHUNK_REQUESTS // 2)):
        count = min(CHUNK_REQUESTS // 2, requests - start)
        run_http(server.http, forms[number % 2], 64, count)
    time.sleep(SETTLE_SECONDS)
    assert server.pid
    return resident_bytes(server.pid)


def after_streamed(server: Server, requests: int) -> int:
    """Resident memory after so many more requests on streams."""
    body, answered = request_for(MLP), 0
    while answered < requests:
        answered += run_streams(server.address, body, 64, STREAMS_SECONDS).requests
    time.sleep(SETTLE_SECONDS)
    assert server.pid
    return resident_bytes(server.pid)


def heavy(seed: int, width: int = 2560) -> bytes:
    """A model with 20 MB of random weights, or other widths, of its own for every seed."""
    weights = np.random.default_rng(seed).normal(size=(2048, width)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "heavy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2048])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", width])],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opset, ir_version=9)
    return bytes(model.SerializeToString())


def after_loads(client: headrace.Client, pid: int, first: int, count: int) -> int:
    """Resident memory after so many more pushes, when all of them are unloaded again.

    The last version is tiny: how often one with 20 MB is mapped depends on how it is found to run best.
    """
    for seed in range(first, first + count):
        width = 1 if seed == first + count - 1 else 2560
        version = client.push("heavy", heavy(seed, width), timeout_seconds=120)
        client.wait_until_ready("heavy", version.number, timeout_seconds=120)
        if version.number > 2:
            client.delete_version("heavy", version.number - 1)
    time.sleep(SETTLE_SECONDS)
    return resident_bytes(pid)


def main() -> int:
    """Measure, print, and say by the exit status whether memory came back."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--posted", type=int, default=1_000_000)
    parser.add_argument("--streamed", type=int, default=100_000)
    parser.add_argument("--loads", type=int, default=200)
    arguments = parser.parse_args()
    load.require_h2load()
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder,
        open_suite("native", Path(folder), [MLP]) as (server, client),
    ):
        assert server.pid
        early = after_requests(server, 10_000)
        late = after_requests(server, arguments.requests)
        few_posted = after_posted(server, 10_000)
        many_posted = after_posted(server, arguments.posted)
        few_streamed = after_streamed(server, 10_000)
        many_streamed = after_streamed(server, arguments.streamed)
        few = after_loads(client, server.pid, 0, max(3, arguments.loads // 10))
        many = after_loads(client, server.pid, 1000, arguments.loads)
    ratios = {
        f"resident after {arguments.requests} requests / after 10000": (late / early, late),
        f"resident after {arguments.posted} requests over REST / after 10000": (
            many_posted / few_posted,
            many_posted,
        ),
        f"resident after {arguments.streamed} streamed requests / after 10000": (
            many_streamed / few_streamed,
            many_streamed,
        ),
        f"resident after {arguments.loads} loads / after a tenth of them": (many / few, many),
    }
    for name, (ratio, size) in ratios.items():
        print(f"{name:60}{ratio:6.3f}  ({size / 2**20:.0f} MiB; at most {MOST})")
    return 0 if all(ratio <= MOST for ratio, _ in ratios.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
