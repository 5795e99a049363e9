"""What does a batch cost live traffic, and what does it take against bare ONNX Runtime?

    python -m benchmarks.batch [--rounds 8] [--rows 100000] [--rate 200] [--ray]

One suite with one replica. Live requests of one row come at a steady rate; beside them, in every other
round, a batch runs, which is stopped and continued by signals: both kinds of rounds see the same machine.
Then the same rows are answered by `headrace batch`, with `--local-session`, and by a bare session of this
process, in pieces of as many rows as the version batches. Printed are p50 and p99, and rows a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.models import mlp
from headrace.client import AsyncClient

COMMAND = (sys.executable, "-m", "headrace.cli")
ROUND_SECONDS = 1.5
SETTLE_SECONDS = 0.3


@contextmanager
def open_suite(folder: Path) -> Iterator[dict[str, str]]:
    """A suite, by the environment that names its addresses."""
    arguments = (*COMMAND, "up", "--port", "0", "--json", "--data", str(folder))
    with (folder.parent / "up.log").open("wb") as log:
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=log)
    assert process.stdout
    try:
        ready = json.loads(process.stdout.readline())
        yield {
            "HEADRACE_REGISTRY": ready["registry"],
            "HEADRACE_INFERENCE": ready["shared"]["grpc"],
            "HEADRACE_MONITOR": ready["monitor"],
            "XDG_CACHE_HOME": str(folder.parent / "cache"),
        }
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def command(environ: dict[str, str], *arguments: object) -> subprocess.Popen[bytes]:
    """A command that has begun."""
    return subprocess.Popen(
        (*COMMAND, *map(str, arguments)),
        env=dict(os.environ) | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


async def live(client: AsyncClient, rate: float, seconds: float) -> list[float]:
    """The milliseconds that requests took which came at a steady rate, from when each was due."""
    loop, took = asyncio.get_running_loop(), []
    row = np.zeros((1, 16), np.float32)

    async def ask(due: float) -> None:
        await client.infer("mlp", {"x": row})
        took.append((loop.time() - due) * 1e3)

    begin = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            tasks.create_task(ask(due))
    return took


async def beside(environ: dict[str, str], rows: Path, rounds: int, rate: float) -> None:
    """Print what live requests take alone and beside a batch, in turns."""
    alone: list[float] = []
    together: list[float] = []
    batch = command(environ, "batch", "mlp", "--input", rows, "--output", rows.parent / "live.csv")
    async with AsyncClient(
        registry=environ["HEADRACE_REGISTRY"], inference=environ["HEADRACE_INFERENCE"]
    ) as client:
        await live(client, rate, ROUND_SECONDS)
        for _ in range(rounds):
            for took, sent in ((alone, signal.SIGSTOP), (together, signal.SIGCONT)):
                batch.send_signal(sent)
                await asyncio.sleep(SETTLE_SECONDS)
                took += await live(client, rate, ROUND_SECONDS)
            if batch.poll() is not None:
                print("the batch was over before the last round: give it more --rows")
                break
    batch.kill()
    batch.wait()
    for name, took in (("alone", alone), ("beside a batch", together)):
        quantiles = statistics.quantiles(took, n=100)
        print(f"live, {name:<15} p50 {quantiles[49]:6.2f} ms  p99 {quantiles[98]:6.2f} ms")


def bare(rows: Any, size: int) -> float:
    """Rows a second of a bare session, so many at a time."""
    import onnxruntime

    session = onnxruntime.InferenceSession(mlp(), providers=["CPUExecutionProvider"])
    began = time.perf_counter()
    for place in range(0, len(rows), size):
        session.run(None, {"x": rows[place : place + size]})
    return len(rows) / (time.perf_counter() - began)


def throughput(environ: dict[str, str], rows: Path, values: Any, ways: Sequence[str]) -> None:
    """Print the rows a second of batches, as they report them, and of a bare session."""
    found = [("bare session, 64 rows a run", bare(values, 64))]
    for way in ways:
        out = rows.parent / f"out{way.replace(' ', '')}.parquet"
        arguments = ("--input", rows, "--output", out, *way.split(), "--json")
        told, _ = command(environ, "batch", "mlp", *arguments).communicate()
        report = json.loads(told)
        found.append((f"headrace batch {way}".strip(), report["rows"] / report["seconds"]))
    for name, rate in found:
        share = rate / found[0][1]
        print(f"{name:<32} {rate:>12,.0f} rows/s  {share:6.1%} of the bare session")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--ray", action="store_true")
    given = parser.parse_args()
    from pyarrow import FixedSizeListArray, array, parquet, table

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "mlp.onnx").write_bytes(mlp())
        values = np.random.default_rng(1).normal(size=(given.rows, 16)).astype(np.float32)
        few, many = folder / "rows.parquet", folder / "many.parquet"
        column = FixedSizeListArray.from_arrays(array(values.reshape(-1)), 16)
        parquet.write_table(table({"x": column}), few)
        with parquet.ParquetWriter(many, table({"x": column}).schema) as writer:
            for _ in range(20):
                writer.write_table(table({"x": column}))
        with open_suite(folder / "data") as environ:
            assert command(environ, "push", "mlp", folder / "mlp.onnx", "--wait").wait() == 0
            asyncio.run(beside(environ, many, given.rounds, given.rate))
            ways = ["", "--local-session", *(["--ray local"] if given.ray else [])]
            throughput(environ, few, values, ways)


if __name__ == "__main__":
    main()
