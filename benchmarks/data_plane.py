"""How near is the data plane to what the machine can do? Four models, one run, one table.

    python -m benchmarks.data_plane [--models mlp] [--rounds N] [--seconds S] [--peer NAME=HOST:PORT[@PID]]

Each model at 1, 8, 64 and 512 requests in flight, one row a request: `headrace up`, native front and
everything on; an empty native front that answers the same bytes; the grpcio front; bare ONNX Runtime, best
of batch size and threads; and any other server of the protocol given as `--peer`, which must serve the
same models under the same names and give the same answers. They take turns in every round. Every answer is
counted as well answered by the server's own statistics: an HTTP status says nothing of a gRPC error. CPU is
the serving process's.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnxruntime

from benchmarks import bare, load, models
from benchmarks.first import ratio
from benchmarks.models import Measured
from benchmarks.servers import (
    NATIVE,
    Server,
    answer_of,
    empty_front,
    peer,
    require_same_answer,
    suite,
)

IN_FLIGHT = {
    "mlp": (1, 8, 64, 512),
    "identity": (1, 8, 64),
    "encoder": (1, 8, 64),
    "resnet50": (1, 8),
}
"""More in flight than this only lengthens the queue of a model that is bound by its own work."""

BARE = "bare ONNX Runtime"
SEARCH_ROUNDS = 4
"""How many rounds' time the search for its best threads and rows takes."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio to reach, and whether it is to be at least or at most this."""

    name: str
    value: float
    limit: float
    at_least: bool = True

    @property
    def reached(self) -> bool:
        """Return whether it is."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def measure(
    model: Measured, servers: Sequence[Server], rounds: int, seconds: float
) -> dict[int, list[float]]:
    """Fill the servers' loads. By what is in flight, bare ONNX Runtime in the same rounds.

    At 1 in flight its latency in milliseconds, else its rate; the mean of what it was right before and
    right after the first server, for a machine's speed drifts by more than what is asked.
    """
    alone = bare.open_bare(model, SEARCH_ROUNDS * seconds)
    found: dict[int, list[float]] = {in_flight: [] for in_flight in IN_FLIGHT[model.name]}
    for number in range(rounds):
        print(f"{model.name}: round {number + 1} of {rounds}", flush=True)
        for in_flight, values in found.items():
            look = alone.latency_ms if in_flight == 1 else alone.rate
            before = look(seconds / 2)
            servers[0].measure(model, in_flight, seconds)
            values.append((before + look(seconds / 2)) / 2)
            for server in servers[1:]:
                server.measure(model, in_flight, seconds)
    print(f"bare ONNX Runtime: {alone.batch} rows, {alone.threads} threads", flush=True)
    return found


def show(model: Measured, servers: Sequence[Server], alone: Mapping[int, list[float]]) -> None:
    """The table of one model: medians over rounds."""
    print(
        f"\n{model.name:22}{'in flight':>10}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'CPU us':>10}"
    )
    for in_flight in IN_FLIGHT[model.name]:
        for server in servers:
            loads = server.loads[in_flight]
            rate, p50, p99, cpu = (
                statistics.median(getattr(result, name) for result in loads)
                for name in ("rate", "p50_ms", "p99_ms", "cpu_us")
            )
            print(
                f"{server.name:22}{in_flight:>10}{rate:>12,.1f}{p50:>10.3f}{p99:>10.3f}{cpu:>10.1f}"
            )
        value = statistics.median(alone[in_flight])
        told = f"{1e3 / value:>12,.1f}{value:>10.3f}" if in_flight == 1 else f"{value:>12,.1f}"
        print(f"{BARE:22}{in_flight:>10}{told}")


def goals(
    model: Measured, native: Server, empty: Server, alone: Mapping[int, list[float]]
) -> list[Goal]:
    """The ratios that matter for the model."""
    if model is models.MLP:
        return _mlp_goals(native, empty)
    if model is models.IDENTITY:
        at_best = max(ratio(native, empty, in_flight) for in_flight in (8, 64))
        return [Goal("identity: rate / empty front's, best of 8 and 64 in flight", at_best, 0.8)]
    delays = [one.p50_ms / best for one, best in zip(native.loads[1], alone[1], strict=True)]
    return [
        *(_rate_goal(model, native, in_flight, alone) for in_flight in alone if in_flight > 1),
        Goal(
            f"{model.name}: p50 at 1 in flight / bare best",
            statistics.median(delays),
            1.05,
            at_least=False,
        ),
    ]


def _rate_goal(
    model: Measured, native: Server, in_flight: int, alone: Mapping[int, list[float]]
) -> Goal:
    rates = [
        rate / best for rate, best in zip(native.rates(in_flight), alone[in_flight], strict=True)
    ]
    return Goal(
        f"{model.name}: rate at {in_flight} in flight / bare best", statistics.median(rates), 0.97
    )


def _mlp_goals(native: Server, empty: Server) -> list[Goal]:
    pairs = list(zip(native.loads[1], empty.loads[1], strict=True))
    delay = statistics.median(one.p50_ms / other.p50_ms for one, other in pairs)
    pairs = list(zip(native.loads[64], empty.loads[64], strict=True))
    cpu = statistics.median(one.cpu_us / max(other.cpu_us, 1e-9) for one, other in pairs)
    return [
        Goal("mlp: rate at 64 in flight / empty front's", ratio(native, empty, 64), 0.75),
        Goal("mlp: p50 at 1 in flight / empty front's", delay, 1.6, at_least=False),
        Goal("mlp: CPU a request at 64 in flight / empty front's", cpu, 1.7, at_least=False),
    ]


def main() -> int:
    """Measure, print, and say by the exit status whether every goal was reached."""
    arguments = _arguments()
    load.require_h2load()
    chosen = [model for model in models.ALL if model.name in arguments.models.split(",")]
    print(
        f"{os.cpu_count()} cores, load generator included, ONNX Runtime {onnxruntime.__version__}"
    )
    reached: list[Goal] = []
    for model in chosen:
        with contextlib.ExitStack() as stack:
            folder = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-"))
            )
            native = stack.enter_context(suite("native", folder, [model]))
            grpcio = stack.enter_context(suite("grpcio", folder, [model]))
            empty = stack.enter_context(empty_front(answer_of(native, model), folder))
            peers = [peer(text) for text in arguments.peer]
            for other in peers:
                require_same_answer(native, other, model)
            servers = [native, empty, grpcio, *peers]
            alone = measure(model, servers, arguments.rounds, arguments.seconds)
        show(model, servers, alone)
        reached += goals(model, native, empty, alone)
        for other in peers:
            for in_flight in IN_FLIGHT[model.name]:
                print(
                    f"{NATIVE} / {other.name}, {in_flight} in flight: {ratio(native, other, in_flight):.2f}"
                )
    print("\nratios, medians over rounds:")
    for goal in reached:
        word = "at least" if goal.at_least else "at most"
        print(
            f"  {'ok ' if goal.reached else 'NOT'} {goal.name:58}{goal.value:7.2f}   ({word} {goal.limit})"
        )
    return 0 if all(goal.reached for goal in reached) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    names = ",".join(model.name for model in models.ALL)
    parser.add_argument("--models", default=names, help=f"of {names}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of load, a server and round")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=HOST:PORT[@PID]")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
