"""What does a batch cost live traffic, and what does it take against bare ONNX Runtime?

    python -m benchmarks.batch [--rounds 8] [--rows 100000] [--rate 200] [--ray]

One suite with one replica. Live requests of one row come at a steady rate: alone, beside a batch, beside
one whose process does not stand back, and beside the same requests without `headrace_background`. Rounds
take turns, by signals that stop and continue the processes: all kinds see the same machine.
Then the rows of an MLP, which is bound by everything around it, and of an encoder, which is bound by its
own work, are answered by `headrace batch`, with `--local-session`, and by a bare session of this process in
pieces of as many rows as the version batches. Printed are p50 and p99, and rows a second.
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

from benchmarks.models import encoder, mlp
from headrace.client import AsyncClient

COMMAND = (sys.executable, "-m", "headrace.cli")
ROUND_SECONDS = 1.5
SETTLE_SECONDS = 0.3
START_SECONDS = 4.0
"""Commands have loaded what they need."""


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


async def plain_requests(rows: str, output: str) -> None:
    """A batch whose requests have no background: what its replica would be asked without one."""
    from headrace.lifecycle.batches import predictors, run_batch

    predictors.BACKGROUND = {}  # of this process alone, which is there for it
    async with AsyncClient() as client:
        await run_batch(client, "mlp", rows, output)


def opened_batches(
    environ: dict[str, str], rows: Path
) -> dict[str, subprocess.Popen[bytes] | None]:
    """What runs beside live requests, by what it is called; nothing in one case."""
    asked = ("batch", "mlp", "--input", rows, "--output")
    plain = (sys.executable, "-m", "benchmarks.batch", "--plain", str(rows))
    folder = rows.parent
    return {
        "alone": None,
        "beside a batch": command(environ, *asked, folder / "live.csv"),
        "beside a batch, --nice 0": command(environ, *asked, folder / "eager.csv", "--nice", 0),
        "beside plain requests": subprocess.Popen(
            (*plain, str(folder / "plain.csv")), env=dict(os.environ) | environ
        ),
    }


async def beside(environ: dict[str, str], rows: Path, rounds: int, rate: float) -> None:
    """Print what live requests take alone and beside batches, in turns."""
    beside = opened_batches(environ, rows)
    took: dict[str, list[float]] = {name: [] for name in beside}
    batches = [process for process in beside.values() if process is not None]
    await asyncio.sleep(START_SECONDS)
    for batch in batches:
        batch.send_signal(signal.SIGSTOP)
    async with AsyncClient(
        registry=environ["HEADRACE_REGISTRY"], inference=environ["HEADRACE_INFERENCE"]
    ) as client:
        await live(client, rate, ROUND_SECONDS)
        for _ in range(rounds):
            for name, process in beside.items():
                if process is not None:
                    process.send_signal(signal.SIGCONT)
                await asyncio.sleep(SETTLE_SECONDS)
                took[name] += await live(client, rate, ROUND_SECONDS)
                if process is not None:
                    process.send_signal(signal.SIGSTOP)
    if any(batch.poll() is not None for batch in batches):
        print("a batch was over before the last round: give it more --rows")
    for batch in batches:
        batch.kill()
        batch.wait()
    for name, times in took.items():
        quantiles = statistics.quantiles(times, n=100)
        print(f"live, {name:<26} p50 {quantiles[49]:6.2f} ms  p99 {quantiles[98]:6.2f} ms")


def bare(graph: bytes, name: str, rows: Any, size: int) -> float:
    """Rows a second of a bare session, so many at a time."""
    import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    began = time.perf_counter()
    for place in range(0, len(rows), size):
        session.run(None, {name: rows[place : place + size]})
    return len(rows) / (time.perf_counter() - began)


def throughput(
    environ: dict[str, str], model: str, rows: Path, alone: float, ways: Sequence[str]
) -> None:
    """Print the rows a second of batches, as they report them, and of a bare session."""
    found = [("bare session, 64 rows a run", alone)]
    for way in ways:
        out = rows.parent / f"out-{model}{way.replace(' ', '')}.parquet"
        arguments = ("--input", rows, "--output", out, *way.split(), "--json")
        told, _ = command(environ, "batch", model, *arguments).communicate()
        report = json.loads(told)
        found.append((f"headrace batch {way}".strip(), report["rows"] / report["seconds"]))
    for name, rate in found:
        share = rate / found[0][1]
        print(f"{model:<8} {name:<32} {rate:>12,.0f} rows/s  {share:6.1%} of the bare session")


def written(path: Path, name: str, values: Any, times: int = 1) -> Path:
    """The values as a column of lists, again and again."""
    from pyarrow import FixedSizeListArray, array, parquet, table

    column = FixedSizeListArray.from_arrays(array(values.reshape(-1)), values.shape[1])
    with parquet.ParquetWriter(path, table({name: column}).schema) as writer:
        for _ in range(times):
            writer.write_table(table({name: column}))
    return path


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--encoder-rows", type=int, default=512)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--plain", nargs=2, metavar=("ROWS", "OUTPUT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.plain:
        asyncio.run(plain_requests(*given.plain))
        return
    chance = np.random.default_rng(1)
    values = chance.normal(size=(given.rows, 16)).astype(np.float32)
    ids = chance.integers(0, 1000, size=(given.encoder_rows, 128))
    ways = ["", "--local-session", *(["--ray local"] if given.ray else [])]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        graphs = {"mlp": mlp(), "encoder": encoder()}
        with open_suite(folder / "data") as environ:
            for name, graph in graphs.items():
                (folder / f"{name}.onnx").write_bytes(graph)
                pushed = command(environ, "push", name, folder / f"{name}.onnx", "--wait")
                assert pushed.wait() == 0
            many = written(folder / "many.parquet", "x", values, 20)
            asyncio.run(beside(environ, many, given.rounds, given.rate))
            for name, column, rows in (("mlp", "x", values), ("encoder", "ids", ids)):
                path = written(folder / f"{name}.parquet", column, rows)
                alone = bare(graphs[name], column, rows, 64)
                throughput(environ, name, path, alone, ways)


if __name__ == "__main__":
    main()
