"""What do callers get of an overloaded model, and what does a latency objective bring?

    python -m benchmarks.queues [--seconds 5] [--rounds 3] [--layers 6] [--objectives 100 300]

A suite serves the encoder. Its capacity is what it answers a second with 64 calls in flight. Then twice as
many calls a second come, whether or not others were answered: with a deadline of a second each, and without
one. `goodput` is what was answered well a second, in time where there is a deadline, as a part of the
capacity; the first 1.5 seconds do not count.

With `--objectives` (p99 in milliseconds) it asks instead what parts of the capacity cost without and with
each of them: rows in a run, p50 and p99, and the processor time of the serving process a request. The model
is one whose runs cost more than their rows: four layers of 4 million weights, which each run reads.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np

import headrace
from benchmarks.load import PATH
from benchmarks.models import ENCODER, GraphBuilder, Measured, encoder, tensor
from benchmarks.servers import Server, open_suite, request_for
from headrace import status
from headrace.addresses import NO_PROXY
from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import grpc_service_pb2_grpc as pb_grpc

WARM_SECONDS = 1.5
CLOSED_LOOP = 64
PARTS = (0.2, 0.5, 0.8)
"""Of the capacity."""


WIDTH, LAYERS = 2048, 4


def wide() -> bytes:
    """Four layers of 4 million weights: FP32 `x` [batch, 2048] to FP32 `y` [batch, 2048]."""
    graph = GraphBuilder()
    state = "x"
    for _ in range(LAYERS - 1):
        state = graph.node("MatMul", state, graph.weight(WIDTH, WIDTH))
    graph.node("MatMul", state, graph.weight(WIDTH, WIDTH), output="y")
    return graph.model([tensor("x", ["batch", WIDTH])], [tensor("y", ["batch", WIDTH])])


WIDE = Measured("wide", wide, "x", "FP32", np.ones((1, WIDTH), np.float32))


@dataclass(slots=True)
class Outcomes:
    """What calls came to: when they ended, how long they took, and why others failed."""

    ended: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def rate(self, since: float, until: float) -> float:
        """Answers a second between two points in time."""
        return sum(since <= end < until for end in self.ended) / (until - since)

    def forget_until(self, since: float) -> None:
        """Drop what ended earlier from the latencies."""
        pairs = zip(self.took, self.ended, strict=True)
        self.took = [took for took, ended in pairs if ended >= since]

    def percentile_ms(self, percent: float) -> float:
        """A percentile of how long answers took, in milliseconds."""
        return float(np.percentile(self.took, percent)) * 1000 if self.took else 0.0


class Caller:
    """Calls one model of one server."""

    def __init__(self, channels: Sequence[grpc.aio.Channel], payload: bytes) -> None:
        self._calls: list[Any] = [channel.unary_unary(PATH) for channel in channels]
        self._payload = payload

    async def once(self, number: int, outcomes: Outcomes, patience: float | None) -> None:
        """One call, noted."""
        started = time.perf_counter()
        try:
            await self._calls[number % len(self._calls)](self._payload, timeout=patience)
        except grpc.aio.AioRpcError as error:
            outcomes.failures[status.error_from_rpc(error).reason or error.code().name] += 1
        else:
            outcomes.ended.append(time.perf_counter())
            outcomes.took.append(outcomes.ended[-1] - started)

    async def capacity(self, seconds: float) -> float:
        """Answers a second with so many calls in flight."""
        outcomes, began = Outcomes(), time.perf_counter()

        async def caller(number: int) -> None:
            while time.perf_counter() < began + seconds:
                await self.once(number, outcomes, None)

        await asyncio.gather(*[caller(number) for number in range(CLOSED_LOOP)])
        return outcomes.rate(began + WARM_SECONDS, began + seconds)

    async def open_loop(
        self, rate: float, seconds: float, patience: float | None
    ) -> tuple[Outcomes, float]:
        """So many calls a second at random; what they came to, and the rate of answers while they came."""
        outcomes, began = Outcomes(), time.perf_counter()
        chosen = np.random.default_rng(0)
        due = began
        tasks: list[asyncio.Task[None]] = []
        while due < began + seconds:
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            tasks.append(asyncio.create_task(self.once(len(tasks), outcomes, patience)))
            due += chosen.exponential(1 / rate)
        answered = outcomes.rate(began + WARM_SECONDS, began + seconds)
        outcomes.forget_until(began + WARM_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return outcomes, answered


async def overload(caller: Caller, seconds: float, rounds: int) -> None:
    """Measure the capacity, then twice as much with and without deadlines, in turns."""
    ratios: dict[str, list[float]] = {}
    for number in range(1, rounds + 1):
        capacity = await caller.capacity(seconds)
        print(f"round {number}: capacity {capacity:.1f} requests a second, {CLOSED_LOOP} in flight")
        for name, patience in (("deadlines of 1 s", 1.0), ("no deadlines", None)):
            outcomes, answered = await caller.open_loop(2 * capacity, seconds, patience)
            ratios.setdefault(name, []).append(answered / capacity)
            p50, p99 = outcomes.percentile_ms(50), outcomes.percentile_ms(99)
            failures = ", ".join(f"{count} {reason}" for reason, count in outcomes.failures.items())
            print(
                f"  twice that, {name:17} goodput {answered / capacity:.2f}   "
                f"p50 {p50:.0f} ms   p99 {p99:.0f} ms   {failures or 'none refused'}",
                flush=True,
            )
    for name, values in ratios.items():
        print(f"goodput with {name}: median {np.median(values):.2f} of {len(values)} rounds")


def serve_with(client: headrace.Client, graph: bytes, objective_ms: int) -> str:
    """Push the model with this objective, 0 for none; its name."""
    name = f"objective-{objective_ms}"
    batching: dict[str, Any] = {"latency_objective": f"{objective_ms / 1000}s"}
    version = client.push(name, graph, config={"batching": batching} if objective_ms else None)
    client.wait_until_ready(name, version.number, timeout_seconds=120)
    return name


def rows_and_runs(address: str, name: str) -> tuple[int, int]:
    """The rows and the runs of a model so far."""
    with grpc.insecure_channel(address, options=[NO_PROXY]) as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        (answer,) = stub.ModelStatistics(pb.ModelStatisticsRequest(name=name)).model_stats
    return answer.inference_count, answer.execution_count


async def objectives(server: Server, names: Sequence[str], seconds: float) -> None:
    """Measure each model at parts of the capacity of the first."""
    channels = [grpc.aio.insecure_channel(server.address, [NO_PROXY]) for _ in range(4)]
    callers = [Caller(channels, request_for(replace(WIDE, name=name))) for name in names]
    for caller in callers:
        await caller.capacity(WARM_SECONDS + 1)
    capacity = await callers[0].capacity(seconds)
    for part in PARTS:
        for name, caller in zip(names, callers, strict=True):
            rows, runs = rows_and_runs(server.address, name)
            cpu = server.cpu_seconds()
            outcomes, answered = await caller.open_loop(part * capacity, seconds, None)
            cpu = (server.cpu_seconds() - cpu) / max(1, len(outcomes.ended))
            rows_after, runs_after = rows_and_runs(server.address, name)
            mean = (rows_after - rows) / max(1, runs_after - runs)
            p50, p99 = outcomes.percentile_ms(50), outcomes.percentile_ms(99)
            print(
                f"{part:.0%} of {capacity:.1f}/s   {name:14} {answered:6.1f}/s   {mean:5.1f} rows a run   "
                f"p50 {p50:4.0f} ms   p99 {p99:4.0f} ms   {cpu * 1000:6.2f} ms of CPU"
            )
    await asyncio.gather(*[channel.close() for channel in channels])


async def main_async(arguments: argparse.Namespace, address: str) -> None:
    """Measure and print."""
    options = [NO_PROXY]
    channels = [grpc.aio.insecure_channel(address, options) for _ in range(4)]
    caller = Caller(channels, request_for(ENCODER))
    await overload(caller, arguments.seconds, arguments.rounds)
    await asyncio.gather(*[channel.close() for channel in channels])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5, help="a measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layers", type=int, default=6, help="of the encoder: more are slower")
    parser.add_argument("--objectives", type=int, nargs="*", default=[], help="p99 in milliseconds")
    arguments = parser.parse_args()
    model = Measured(
        ENCODER.name,
        partial(encoder, arguments.layers),
        ENCODER.input_name,
        ENCODER.datatype,
        ENCODER.row,
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        open_suite("native", Path(folder), [] if arguments.objectives else [model]) as (
            server,
            client,
        ),
    ):
        if arguments.objectives:
            names = [serve_with(client, WIDE.graph(), one) for one in (0, *arguments.objectives)]
            asyncio.run(objectives(server, names, arguments.seconds))
        else:
            asyncio.run(main_async(arguments, server.address))
    return 0


if __name__ == "__main__":
    sys.exit(main())
