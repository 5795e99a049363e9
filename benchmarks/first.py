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
import os
import statistics
import sys
import tempfile
from pathlib import Path

import onnxruntime

from benchmarks import bare, load
from benchmarks.models import MLP
from benchmarks.servers import EMPTY, GRPCIO, NATIVE, Server, answer_of, empty_front, suite

IN_FLIGHT = (1, 64)
BARE = "bare ONNX Runtime"
TARGETS = {
    "native front / grpcio front, 64 in flight": 5.0,
    "native front / empty native front, 64 in flight": 0.5,
}


def ratio(above: Server, below: Server, in_flight: int) -> float:
    """The median over rounds of one server's rate over another's in the same round."""
    pairs = zip(above.rates(in_flight), below.rates(in_flight), strict=True)
    return statistics.median(one / other for one, other in pairs)


def report(servers: list[Server], rows_per_second: float) -> dict[str, float]:
    """Print the table and give the ratios by name."""
    print(f"\n{'':22}{'in flight':>10}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}")
    for in_flight in IN_FLIGHT:
        for server in servers:
            loads = server.loads[in_flight]
            p50, p99, cpu = (
                statistics.median(getattr(result, name) for result in loads)
                for name in ("p50_ms", "p99_ms", "cpu_us")
            )
            rate = statistics.median(server.rates(in_flight))
            print(f"{server.name:22}{in_flight:>10}{rate:>12,.0f}{p50:>9.3f}{p99:>9.3f}{cpu:>9.1f}")
    print(f"{BARE:22}{'-':>10}{rows_per_second:>12,.0f}")
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
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of load, a server and round")
    arguments = parser.parse_args()
    load.require_h2load()
    print(
        f"{os.cpu_count()} cores, load generator included, ONNX Runtime {onnxruntime.__version__}"
    )
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        native = stack.enter_context(suite("native", folder, [MLP]))
        grpcio = stack.enter_context(suite("grpcio", folder, [MLP]))
        empty = stack.enter_context(empty_front(answer_of(native, MLP), folder))
        servers = [native, grpcio, empty]
        for number in range(arguments.rounds):
            print(f"round {number + 1} of {arguments.rounds}", flush=True)
            for in_flight in IN_FLIGHT:
                for server in servers:
                    server.measure(MLP, in_flight, arguments.seconds)
        ratios = report(servers, bare.open_bare(MLP, arguments.seconds).rate(arguments.seconds))
    missed = [name for name, target in TARGETS.items() if ratios[name] < target]
    for name in missed:
        print(f"not reached: {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
