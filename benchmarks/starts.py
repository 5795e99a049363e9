"""How long until it serves, and how much memory does it hold? Starts, pushes, restarts; idle and loaded.

    python -m benchmarks.starts                                       # three rounds, two minutes
    python -m benchmarks.starts --old ../yesterday                    # two checkouts, in turns
    python -m benchmarks.starts --gigabyte                            # also a model with 1 GB of weights
    python -m benchmarks.starts --peer-pid triton=4711               # the memory of another server

Every round begins with an empty folder, for each checkout in turns:

- up: from the start of `headrace up` until it says that all is ready
- replica: from the start of a second replica's process beside that until it is ready, no model there
- push: ResNet-50, from the push until it serves; then the MLP, the 1 MiB identity and the encoder
- restart: from the start of `headrace up` on that folder until all four serve
- memory of the replica, and of all processes of the suite: VmRSS, and PSS, where a page that several
  processes share counts once in all; idle, ten seconds after the four models served, and
  ten seconds after each had a load of 8 or 64 in flight

Seconds by the clock, medians over rounds and (least..most).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks import load, models
from benchmarks.models import GraphBuilder, Measured, tensor
from benchmarks.request_bodies import grpc_message
from benchmarks.sides import HERE, Suite, open_suite_of, python_of
from headrace.service.parent_death import tether

SETTLED_SECONDS = 10.0
LOAD_SECONDS = 3.0

Figures = dict[str, list[float]]


def gigabyte() -> bytes:
    """A graph of a gigabyte: FP32 `x` [batch, 8192] by 8192 x 32768 weights, their sums."""
    graph = GraphBuilder()
    wide = graph.node("MatMul", "x", graph.weight(8192, 2**15))
    graph.node("ReduceSum", wide, graph.constant(np.array([1])), output="y")
    return graph.model([tensor("x", ["batch", 8192])], [tensor("y", ["batch", 1])])


GIGABYTE = Measured("gigabyte", gigabyte, "x", "FP32", np.ones((1, 8192), np.float32))


def memory_of(pid: int, key: str) -> float:
    """MiB of a process, by its Rss or Pss."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 1024


def measure(
    name: str, checkout: Path, folder: Path, figures: Figures, chosen: Sequence[Measured]
) -> None:
    """One round of a checkout."""

    def note(what: str, value: float) -> None:
        figures.setdefault(what, []).append(value)

    data = folder / name
    with open_suite_of(name, checkout, data) as suite:
        note("up, s", suite.ready_seconds)
        with open_replica(checkout, suite, folder / f"{name}-2") as took:
            note("replica, s", took)
        suite.side.settle(20)
        _note_memory("idle", suite, note)
        for model in chosen:
            note(f"push {model.name}, s", suite.push(model))
        suite.side.settle(30)
        time.sleep(SETTLED_SECONDS)
        _note_memory(f"{len(chosen)} models", suite, note)
        for model in chosen:
            load_with(suite, model)
        time.sleep(SETTLED_SECONDS)
        _note_memory(f"{len(chosen)} after load", suite, note)
    started = time.monotonic()
    with open_suite_of(name, checkout, data) as suite:
        for model in chosen:
            suite.client.wait_until_ready(model.name, 1, timeout_seconds=300)
        note(f"restart with {len(chosen)}, s", time.monotonic() - started)
        suite.side.settle(30)
        time.sleep(SETTLED_SECONDS)
        _note_memory(f"{len(chosen)} after a restart", suite, note)


def load_with(suite: Suite, model: Measured) -> None:
    """Load for some seconds, with as many in flight as `benchmarks.data_plane` has at most."""
    in_flight = 64 if model is models.MLP or model is models.IDENTITY else 8
    body = load.grpc_frame(grpc_message(model))
    pace = load.run(suite.side.grpc, body, in_flight, in_flight * 4).rate
    load.run(suite.side.grpc, body, in_flight, max(in_flight * 4, int(pace * LOAD_SECONDS)))


def _note_memory(when: str, suite: Suite, note: Callable[[str, float], None]) -> None:
    named = suite.ready["pids"]
    assert isinstance(named, dict)
    everyone = [*named.values(), suite.process.pid]
    replica = suite.side.pids[0]
    note(f"replica {when}, RSS MiB", memory_of(replica, "Rss"))
    note(f"replica {when}, PSS MiB", memory_of(replica, "Pss"))
    note(f"suite {when}, RSS MiB", sum(memory_of(pid, "Rss") for pid in everyone))
    note(f"suite {when}, PSS MiB", sum(memory_of(pid, "Pss") for pid in everyone))


@contextlib.contextmanager
def open_replica(checkout: Path, suite: Suite, data: Path) -> Iterator[float]:
    """Another replica of the suite; how many seconds it took to be ready."""
    command = [
        *(*tether(), python_of(checkout), "-m", "headrace_inference"),
        *("--redis-url", str(suite.ready["redis_url"])),
        *("--registry-address", str(suite.ready["registry"]), "--data", str(data)),
        *("--grpc-port=0", "--http-port=0", "--metrics-port=0", "--log-level=error"),
        *("--ready-fd=1", "--replica-id=second"),
    ]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=checkout)
    try:
        assert process.stdout
        while "grpc" not in json.loads(process.stdout.readline()):
            pass  # it is alive, and not ready
        yield time.monotonic() - started
    finally:
        process.terminate()
        process.wait()


def show(found: Mapping[str, Figures]) -> None:
    """Print a line for each figure, a column for each checkout, and the ratio of the first two."""
    names = list(found)
    print(f"\n{'':40}" + "".join(f"{name:>28}" for name in names))
    for what, values in found[names[0]].items():
        columns = [found[name].get(what, []) for name in names]
        told = "".join(f"{_told(column):>28}" for column in columns)
        ratio = ""
        if len(columns) > 1:
            ratio = f"{statistics.median(values) / statistics.median(columns[1]):8.2f}"
        print(f"{what:40}{told}{ratio}")


def _told(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}..{max(values):.2f})"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--old", type=Path, help="another checkout, with its .venv")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", default="resnet50,mlp,identity,encoder")
    parser.add_argument("--gigabyte", action="store_true", help="also a model of 1 GB")
    parser.add_argument("--peer-pid", action="append", default=[], metavar="NAME=PID")
    arguments = parser.parse_args()
    by_name = {model.name: model for model in models.ALL}
    chosen = [by_name[name] for name in arguments.models.split(",")]
    chosen += [GIGABYTE] if arguments.gigabyte else []
    checkouts = {"headrace": HERE} | ({"old": arguments.old.resolve()} if arguments.old else {})
    found: dict[str, Figures] = {name: {} for name in checkouts}
    for number in range(arguments.rounds):
        for name, checkout in checkouts.items():
            print(f"round {number + 1} of {arguments.rounds}: {name}", flush=True)
            with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
                measure(name, checkout, Path(folder), found[name], chosen)
    show(found)
    for text in arguments.peer_pid:
        name, _, pid = text.partition("=")
        sizes = ", ".join(f"{key} {memory_of(int(pid), key):.0f} MiB" for key in ("Rss", "Pss"))
        print(f"{name}: {sizes}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
