"""What do more replicas behind one port give, and what do they cost?

    python -m benchmarks.replicas [--replicas 1 2 4] [--models mlp encoder] [--rounds N] [--seconds S]
    python -m benchmarks.replicas --memory [--mebibytes 200]

Suites with 1, 2 and 4 replicas take turns, each called at its shared port over many connections, since the
system gives every connection to one process. Ratios are medians over rounds, to one replica in the same
round. CPU is that of all replicas together; of one replica it is also shown by thread, which tells how far
a process goes: the thread with the most is the one that holds it up. `--memory` pushes large models and
shows what all replicas take together, where a page that several share counts once (PSS).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from benchmarks import load, models
from benchmarks.models import GraphBuilder, Measured, tensor
from benchmarks.servers import request_for
from benchmarks.sides import HERE, Suite, open_suite_of, spent

IN_FLIGHT = {"mlp": (1, 8, 64), "encoder": (1, 8, 16)}
STREAMS_PER_CONNECTION = 2
SETTLE_SECONDS = 10.0
_THREADS_SHOWN = 4


@dataclass(slots=True)
class Replicas:
    """A suite with so many replicas, and its loads by model and requests in flight."""

    count: int
    suite: Suite
    loads: dict[tuple[str, int], list[load.Load]] = field(default_factory=dict)

    def measure(self, model: Measured, in_flight: int, seconds: float) -> None:
        """One round. Raises RuntimeError where not every request was answered well."""
        side, body = self.suite.side, load.grpc_frame(request_for(model))
        before, cpu = side.successes([model.name]), side.cpu()
        result = load.run_for(side.grpc, body, in_flight, STREAMS_PER_CONNECTION, seconds)
        answered, result.cpu_us = side.successes([model.name]) - before, spent(cpu, side.cpu())
        if not result.requests <= answered <= result.requests + in_flight:
            raise RuntimeError(f"{side.name} counts {answered} of {result.requests} requests")
        result.cpu_us *= 1e6 / answered
        self.loads.setdefault((model.name, in_flight), []).append(result)

    def rates(self, model: str, in_flight: int) -> list[float]:
        """The rates of all rounds."""
        return [each.rate for each in self.loads[model, in_flight]]


@contextlib.contextmanager
def open_replicas(
    counts: Sequence[int], chosen: Sequence[Measured], folder: Path
) -> Iterator[list[Replicas]]:
    """Suites with so many replicas each, with all models ready and nothing measured any more."""
    with contextlib.ExitStack() as stack:
        opened = []
        for count in counts:
            name = f"{count} replicas"
            opening = open_suite_of(name, HERE, folder / str(count), [f"--replicas={count}"])
            suite = stack.enter_context(opening)
            for model in chosen:
                suite.push(model)
            opened.append(Replicas(count, suite))
        for each in opened:
            each.suite.side.settle(SETTLE_SECONDS)
        yield opened


def measure(counts: Sequence[int], chosen: Sequence[Measured], rounds: int, seconds: float) -> None:
    """Measure and print."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_replicas(counts, chosen, Path(folder)) as opened,
    ):
        for model in chosen:
            for number in range(rounds):
                for in_flight in IN_FLIGHT[model.name]:
                    for each in opened if number % 2 else reversed(opened):
                        each.measure(model, in_flight, seconds)
            _print_table(model, opened)
            sys.stdout.flush()
            _print_threads(model, opened[0], seconds)


def _print_table(model: Measured, opened: Sequence[Replicas]) -> None:
    print(f"\n{model.name}, {os.cpu_count()} cores\n")
    print("| in flight | replicas | requests/s | ratio | p50 ms | p99 ms | CPU µs |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for in_flight in IN_FLIGHT[model.name]:
        one = opened[0].rates(model.name, in_flight)
        for each in opened:
            pairs = zip(each.rates(model.name, in_flight), one, strict=True)
            ratio = statistics.median(more / first for more, first in pairs)
            print(f"| {in_flight} | {each.count} | {_figures(each, model, in_flight, ratio)} |")


def _figures(each: Replicas, model: Measured, in_flight: int, ratio: float) -> str:
    loads = each.loads[model.name, in_flight]
    middle = {
        name: statistics.median(getattr(one, name) for one in loads)
        for name in ("rate", "p50_ms", "p99_ms", "cpu_us")
    }
    return (
        f"{middle['rate']:,.0f} | {ratio:.2f} | {middle['p50_ms']:.2f} | {middle['p99_ms']:.2f} | "
        f"{middle['cpu_us']:.1f}"
    )


def _print_threads(model: Measured, one: Replicas, seconds: float) -> None:
    """The threads that a replica is busy with while it has much to do, by what they take a request."""
    (pid, *_) = one.suite.side.pids
    in_flight = IN_FLIGHT[model.name][-1]
    before = _cpu_by_thread(pid)
    one.measure(model, in_flight, seconds)
    requests = one.loads[model.name, in_flight][-1].requests
    spent = {name: now - before.get(name, 0.0) for name, now in _cpu_by_thread(pid).items()}
    busiest = sorted(spent.values(), reverse=True)[:_THREADS_SHOWN]
    shown = ", ".join(f"{seconds / requests * 1e6:.1f}" for seconds in busiest)
    print(f"\nµs a request of the first one's busiest threads, {in_flight} in flight: {shown}")


def _cpu_by_thread(pid: int) -> Mapping[str, float]:
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        found[task.name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def matrices(mebibytes: int) -> Measured:
    """A chain of matrices of so many MiB together, each of 4 MiB: kernels pack them, in each process."""

    def graph() -> bytes:
        made, state = GraphBuilder(), "x"
        for _ in range(mebibytes // 4):
            state = made.node("MatMul", state, made.weight(1024, 1024))
        made.node("Identity", state, output="y")
        info = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1024])
        return made.model([info], [tensor("y", ["batch", 1024])])

    return Measured("matrices", graph, "x", "FP32", np.ones((1, 1024), np.float32))


def table(mebibytes: int) -> Measured:
    """A table of embeddings of so many MiB, of which all rows are read: kernels read it where it lies."""
    rows = mebibytes * 256

    def graph() -> bytes:
        made = GraphBuilder()
        every = made.node("Gather", made.weight(rows, 1024), "x")
        made.node("ReduceSum", every, made.constant(np.array([1, 2])), output="y", keepdims=0)
        info = helper.make_tensor_value_info("x", TensorProto.INT64, ["batch", "n"])
        return made.model([info], [tensor("y", ["batch"])])

    return Measured("table", graph, "x", "INT64", np.arange(0, rows, 64)[None, :])


def measure_memory(counts: Sequence[int], mebibytes: int) -> None:
    """Print what the replicas take together before and after a large model, and a replica's start."""
    print("| model | replicas | idle, MiB | with the model, MiB | up to ready, s |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for model in (matrices(mebibytes), table(mebibytes)):
        for count in counts:
            _print_memory(model, count)


def _print_memory(model: Measured, count: int) -> None:
    body = load.grpc_frame(request_for(model))
    with (
        tempfile.TemporaryDirectory() as folder,
        open_replicas([count], [], Path(folder)) as (opened,),
    ):
        suite = opened.suite
        idle = _pss(suite)
        suite.push(model)
        suite.side.settle()
        load.run_for(suite.side.grpc, body, 16, 1, 4.0)
        figures = f"{idle:.0f} | {_pss(suite):.0f} | {suite.ready_seconds:.1f}"
        print(f"| {model.name} | {count} | {figures} |", flush=True)


def _pss(suite: Suite) -> float:
    """MiB of all replicas; a page that several have in memory counts once."""
    return sum(map(_pss_of, suite.side.pids))


def _pss_of(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--models", nargs="+", default=["mlp", "encoder"], choices=[*IN_FLIGHT])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--mebibytes", type=int, default=200)
    given = parser.parse_args()
    if given.memory:
        measure_memory(given.replicas, given.mebibytes)
        return
    load.require_h2load()
    chosen = [model for model in models.ALL if model.name in given.models]
    measure(given.replicas, chosen, given.rounds, given.seconds)


if __name__ == "__main__":
    main()
