"""A process that runs one graph whenever it is told to, and says what that took."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import psutil


def main() -> None:
    """Open the graph of the arguments, say how memory grew, then take a turn for each line that is read."""
    graph, rows, per_run = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    with np.load(rows) as kept:
        inputs = {name: kept[name] for name in kept.files}
    before = _resident_bytes()
    run = _Runs(graph, inputs, per_run)
    run.once(1)
    _say(memory_bytes=max(0, _resident_bytes() - before))
    for line in sys.stdin:
        _say(**run.turn(float(line)))


class _Runs:
    """Runs of one graph over rows, again and again."""

    def __init__(self, graph: Path, inputs: dict[str, Any], per_run: int) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"]
        )
        self._inputs, self._per_run = inputs, per_run
        self._place = 0

    def once(self, rows: int) -> None:
        """Run the next rows."""
        count = len(next(iter(self._inputs.values())))
        start = self._place % max(1, count - rows + 1)
        self._session.run(
            None, {name: array[start : start + rows] for name, array in self._inputs.items()}
        )
        self._place += rows

    def turn(self, seconds: float) -> dict[str, Any]:
        """Runs of as few rows as there can be, for their latency; then of many, for their rate."""
        fewest = 1 if self._per_run >= 1 else -self._per_run
        latencies, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            self.once(fewest)
            latencies.append(time.perf_counter() - start)
        rows, start, cpu = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() < start + seconds:
            self.once(abs(self._per_run))
            rows += abs(self._per_run)
        return {
            "latencies": latencies[:1000],
            "rows": rows,
            "seconds": time.perf_counter() - start,
            "cpu_seconds": time.process_time() - cpu,
        }


def _resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def _say(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
