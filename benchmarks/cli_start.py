"""How long does a command of the command line take, from the key to the prompt?

    python -m benchmarks.cli_start [--rounds 15]

Each command is a new process, in turns with `python -c pass`, which is what no command can be below. The
goal is for processor time: by the clock, a machine that others use makes all of it longer. A suite runs for
the commands that ask a service. Ends with status 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.models import MLP
from headrace.service.parent_death import tether

CLI = (sys.executable, "-m", "headrace.cli")
BARE = "python -c pass"
MOST_MILLISECONDS = 300.0
MOST_WITH_NUMPY = 400.0
NAME = "mlp"


def most_milliseconds(name: str) -> float:
    """What a command may take; arrays need numpy, and nothing else does."""
    return MOST_WITH_NUMPY if name.startswith("headrace infer mlp") else MOST_MILLISECONDS


def commands(ready: Mapping[str, str], inference: str) -> dict[str, Sequence[str]]:
    """The commands that are measured, by what people write."""
    where = (f"--registry={ready['registry']}", f"--inference={inference}")
    row = json.dumps([0.5] * 16)
    return {
        BARE: (sys.executable, "-c", "pass"),
        "headrace --version": (*CLI, "--version"),
        "headrace --help": (*CLI, "--help"),
        "headrace infer --help": (*CLI, "infer", "--help"),
        "headrace models": (*CLI, *where, "models"),
        "headrace status": (*CLI, *where, "status"),
        "headrace infer mlp '[...]'": (*CLI, *where, "infer", NAME, row),
        "headrace modles (misspelt)": (*CLI, "modles"),
    }


@contextmanager
def open_suite(folder: Path) -> Iterator[tuple[Mapping[str, str], str]]:
    """A suite with a model: its ready line, and the replica's address."""
    graph = folder / f"{NAME}.onnx"
    graph.write_bytes(MLP.graph())
    process = subprocess.Popen(
        [*tether(), *CLI, "serve", str(graph), "--port=0", "--json", f"--data={folder / 'data'}"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        yield ready, ready["inference"][0]["grpc"]
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command: milliseconds by the clock, and of processor time."""

    wall: float
    processor: float


def run(command: Sequence[str]) -> Run:
    """Run a command to its end."""
    before, started = processor_seconds(), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    wall = time.perf_counter() - started
    return Run(wall * 1e3, (processor_seconds() - before) * 1e3)


def processor_seconds() -> float:
    """What the children that have ended have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(measured: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Run]]:
    """All commands in turns, so many times each, after one run that nobody counts."""
    for command in measured.values():
        run(command)
    times: dict[str, list[Run]] = {name: [] for name in measured}
    for _ in range(rounds):
        for name, command in measured.items():
            times[name].append(run(command))
    return times


def main() -> int:
    """Measure and report; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder, open_suite(Path(folder)) as (ready, inference):
        times = measure(commands(ready, inference), rounds)
    figures = []
    for name, runs in times.items():
        pairs = zip(runs, times[BARE], strict=True)
        ratio = statistics.median(one.processor / bare.processor for one, bare in pairs)
        wall = statistics.median(one.wall for one in runs)
        processor = statistics.median(one.processor for one in runs)
        figures.append(Figure(name, processor, "ms", most_milliseconds(name)))
        print(f"{figures[-1]}   {wall:7.0f} ms by the clock   {ratio:5.1f} times {BARE}")
    return int(any(figure.missed for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
