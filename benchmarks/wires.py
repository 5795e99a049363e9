"""Every wire and every kind of work, side by side in one run: how fast, how late, at what cost?

    python -m benchmarks.wires                                            # all rows, half an hour
    python -m benchmarks.wires --rows rest-json,stream-64 --rounds 8 --seconds 1.5
    python -m benchmarks.wires --old ../yesterday --rows rest-json-8,mlp  # two checkouts, in turns
    python -m benchmarks.wires --peer triton=localhost:9001,9000@4711

`headrace up` of this checkout, of another one (`--old`, a folder with an environment of its own in
`.venv`), and peers, which must serve the same models under the same names, take turns of `--seconds` in
every round, in an order that changes. `--list` names the rows:

- rest-json-N, rest-binary-N: the MLP over HTTP/1.1, N connections with one request each
- beside-rest-8: gRPC with 8 in flight while 8 callers send REST as fast as they can, against mlp-8
- stream-N: ModelStreamInfer, N streams with one request each (`raw_calls`; perf_analyzer takes more CPU
  than the server)
- bytes-WIRE-8: 1,000 strings there and back; rows-N: N rows of the MLP in a request, 8 in flight
- identity-N: 1 MiB there and back; mlp-N: one row over gRPC; outputs-8: 64 small outputs in an answer
- models-1, models-50, models-500: 50 callers, each of a model of its own, or of ten in turn; all have
  the same bytes. models-1-alone: one model whose requests share no run, as those of many cannot
- encoder-N, resnet50-N: also against bare ONNX Runtime at its best, before and after each turn
- traced-N: mlp-N while the timestamps of every request are traced

Rate is answers a second while all callers wait for one; p50 and p99 are over the same requests; CPU is that
of the serving processes and their children, a request (utime and stime). A ratio is that of a round,
shown as the median over rounds (least..most). Every request is counted as well answered by the server's
own statistics, or the run is no result. Memory, starts and overload are scripts of their own:
`benchmarks.starts`, `benchmarks.overload`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import onnxruntime

from benchmarks import bare, load, wire_rows
from benchmarks.load import Load
from benchmarks.models import Measured
from benchmarks.sides import HERE, Side, Suite, open_suite_of, peer_side
from benchmarks.wire_rows import Row

BARE = "bare ONNX Runtime"
OURS, OLD = "headrace", "old"

Loads = dict[tuple[str, str], list[Load]]
"""The turns by row and side."""


class Run:
    """All turns of all rows, and their table."""

    def __init__(self, sides: Sequence[Side], seconds: float) -> None:
        self._sides = sides
        self._seconds = seconds
        self._loads: Loads = {}
        self._bare: dict[str, bare.Bare] = {}

    def round(self, number: int, rows: Sequence[Row]) -> None:
        """One turn of every row on every side, the sides in another order than before."""
        order = list(self._sides) if number % 2 else list(reversed(self._sides))
        for row in rows:
            for side in order:
                if (side.http or not row.needs_http) and (side.suite_pids or not row.of_headrace):
                    self._turn(row, side)

    def _turn(self, row: Row, side: Side) -> None:
        alone = self._alone(row) if row.beside_bare and side is self._sides[0] else None
        before = alone() if alone else 0.0
        turns = self._loads.setdefault((row.name, side.name), [])
        turns.append(row.measure(side, self._seconds, turns[-1] if turns else None))
        if alone:
            rate = (before + alone()) / 2
            self._loads.setdefault((row.name, BARE), []).append(Load(1, rate, 1e3 / rate, 0.0))

    def _alone(self, row: Row) -> Callable[[], float]:
        assert row.beside_bare
        model, in_flight = row.beside_bare
        if model.name not in self._bare:
            self._bare[model.name] = bare.open_bare(model, 4 * self._seconds)
        found = self._bare[model.name]
        if in_flight == 1:
            return lambda: 1e3 / found.latency_ms(self._seconds / 2)
        return lambda: found.rate(self._seconds / 2)

    def show(self, rows: Sequence[Row]) -> None:
        """Print medians over rounds, and ratios to each other side and to the row's base."""
        print(f"\n{'':16}{'':18}{'rate/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}")
        for row in rows:
            for name in self._names(row):
                self._show_side(row.name, name)
            self._show_ratios(row)

    def _names(self, row: Row) -> list[str]:
        return [name for key, name in self._loads if key == row.name]

    def _show_side(self, row: str, name: str) -> None:
        turns = self._loads[row, name]
        rate, p50, p99, cpu = (
            statistics.median(getattr(each, key) for each in turns)
            for key in ("rate", "p50_ms", "p99_ms", "cpu_us")
        )
        print(f"{row:16}{name:18}{rate:>10,.1f}{p50:>9.3f}{p99:>9.3f}{cpu:>9.1f}")

    def _show_ratios(self, row: Row) -> None:
        first = self._loads.get((row.name, self._sides[0].name), [])
        for name in self._names(row):
            if name != self._sides[0].name:
                label = f"  {self._sides[0].name} / {name}"
                _show_ratio(label, first, self._loads[row.name, name])
        for side in self._sides:
            base = self._loads.get((row.base, side.name), [])
            if base:
                label = f"  {side.name}: {row.name} / {row.base}"
                _show_ratio(label, self._loads[row.name, side.name], base)

    def write(self, path: Path) -> None:
        """Write all turns as JSON."""
        kept = [
            {"row": row, "side": side, "turns": [asdict(turn) for turn in turns]}
            for (row, side), turns in self._loads.items()
        ]
        path.write_text(json.dumps(kept, indent=1))


def _show_ratio(label: str, ours: Sequence[Load], others: Sequence[Load]) -> None:
    told = []
    for name, key in (("rate", "rate"), ("p50", "p50_ms"), ("CPU", "cpu_us")):
        pairs = [(getattr(a, key), getattr(b, key)) for a, b in zip(ours, others, strict=False)]
        if pairs and all(a and b for a, b in pairs):
            found = [a / b for a, b in pairs]
            told.append(
                f"{name} {statistics.median(found):.2f} ({min(found):.2f}..{max(found):.2f})"
            )
    print(f"{label:46}{'  '.join(told)}", flush=True)


def needed(rows: Iterable[Row]) -> list[Measured]:
    """The models that the rows need, each once."""
    return list({model.name: model for row in rows for model in row.models}.values())


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    rows = wire_rows.chosen_rows(arguments.rows)
    if arguments.list or not rows:
        print("\n".join(wire_rows.rows()))
        return 0 if arguments.list else 2
    load.require_h2load()
    print(f"{os.cpu_count()} cores, load included, ONNX Runtime {onnxruntime.__version__}")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        checkouts = {OURS: HERE} | ({OLD: arguments.old.resolve()} if arguments.old else {})
        options = arguments.up.split()
        suites = [
            stack.enter_context(
                open_suite_of(name, checkout, folder / name, options if name == OURS else ())
            )
            for name, checkout in checkouts.items()
        ]
        _push_all(suites, needed(rows))
        sides = [suite.side for suite in suites] + [peer_side(text) for text in arguments.peer]
        run = Run(sides, arguments.seconds)
        for number in range(arguments.rounds):
            print(f"round {number + 1} of {arguments.rounds}", flush=True)
            run.round(number, rows)
        run.show(rows)
        if arguments.json:
            run.write(arguments.json)
    return 0


def _push_all(suites: Sequence[Suite], wanted: Sequence[Measured]) -> None:
    for suite in suites:
        took = sum(suite.push(model) for model in wanted)
        up = f"{suite.side.name}: up after {suite.ready_seconds:.1f} s"
        print(f"{up}, {len(wanted)} models after {took:.1f} s", flush=True)
    for suite in suites:
        suite.side.settle()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rows", default="", help="names, or how they begin; all by default")
    parser.add_argument("--list", action="store_true", help="name the rows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of load, a side and round")
    parser.add_argument("--old", type=Path, help="another checkout, with its .venv")
    parser.add_argument("--up", default="", help="options for this checkout's `headrace up`")
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=HOST:PORT[,HTTP_PORT][@PID]"
    )
    parser.add_argument("--json", type=Path, help="a file for every turn's figures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
