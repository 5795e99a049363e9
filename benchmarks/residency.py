"""What does a replica cost that knows many models and has few loaded? Memory, threads, and first requests.

    python -m benchmarks.residency [--models 10000] [--hot 200] [--cold 40]

A shared state with so many models (the MLP, each with bytes of its own) is written into the embedded
server, the files of those that are called into a registry's blobs; a registry and a replica run as
processes of their own, the replica with max_loaded_versions. Every hot model is called, then cold ones:
`fresh` were never on this replica (fetched, tried out and opened for the request), `cold` were, and were
unloaded since. Ends with status 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import grpc

from benchmarks.catalogs import CatalogSize, Seed, model_name
from benchmarks.figures import Figure
from benchmarks.memory import resident_bytes
from benchmarks.models import MLP
from benchmarks.processes import Service, open_service
from benchmarks.servers import request_for
from headrace.datatypes import Datatype
from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from headrace.local.embedded_redis import open_embedded_server
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
from headrace.state.records import (
    ArtifactFile,
    Batching,
    ServingConfig,
    Signature,
    TensorSpec,
    VersionRecord,
)
from headrace_inference.domain.scheduling.instance_threads import LINGER_SECONDS

KEYS = Keys("residency")
QUIET_SECONDS = LINGER_SECONDS + 2
SIGNATURE = Signature(
    (TensorSpec("x", Datatype.FP32, (-1, 16), ("batch", "")),),
    (TensorSpec("y", Datatype.FP32, (-1, 4), ("batch", "")),),
)


def graph_of(model: str) -> bytes:
    """The MLP with a documentation string of its own, which nobody runs."""
    text = model.encode()
    return MLP.graph() + b"\x32" + bytes([len(text)]) + text


def version(model: str, number: int) -> VersionRecord:
    """Return what a push of the model leaves."""
    graph = graph_of(model)
    sha256 = hashlib.sha256(graph).hexdigest()
    return VersionRecord(
        model=model,
        number=number,
        digest=hashlib.sha256(sha256.encode()).hexdigest(),
        files=(ArtifactFile("model.onnx", len(graph), sha256),),
        graph_path="model.onnx",
        signature=SIGNATURE,
        config=ServingConfig(batching=Batching(max_batch_size=64)),
        created_at=1_764_403_000.5,
    )


def store(folder: Path, models: Sequence[str]) -> None:
    """Write the files of these models where a registry has its blobs."""
    for model in models:
        graph = graph_of(model)
        sha256 = hashlib.sha256(graph).hexdigest()
        place = folder / "blobs" / sha256[:2] / sha256
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(graph)


def threads_of(pid: int) -> int:
    """Return how many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


async def called(stub: Any, models: Sequence[str]) -> list[float]:
    """Return how long a request of each took, one after the other, in milliseconds."""
    taken = []
    for model in models:
        message = pb.ModelInferRequest.FromString(request_for(MLP))
        message.model_name = model
        started = time.perf_counter()
        await stub.ModelInfer(message, timeout=60)
        taken.append((time.perf_counter() - started) * 1000)
    return taken


async def scraped(address: str) -> tuple[float, int]:
    """Return how long a scrape took, in milliseconds, and how large it is."""
    async with aiohttp.ClientSession() as session:
        started = time.perf_counter()
        async with session.get(f"http://{address}/metrics") as response:
            body = await response.read()
    return (time.perf_counter() - started) * 1000, len(body)


async def measure(folder: Path, models: int, hot: int, cold: int) -> list[Figure]:
    """Fill a state, start the services, call, and read what that took."""
    names = [model_name(place) for place in range(models)]
    called_hot, fresh = names[:hot], names[hot : hot + cold]
    store(folder / "registry", [*called_hot, *fresh])
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(open_embedded_server(folder))
        redis = await stack.enter_async_context(open_redis(url))
        await redis.config_set("appendfsync", "no")
        await Seed(CatalogSize(models, 1), version=version).write(redis, KEYS)
        shared = ("--redis-url", url, "--namespace", KEYS.namespace)
        registry = await stack.enter_async_context(
            open_service(
                "headrace_registry",
                *shared,
                *("--data", str(folder / "registry")),
                *("--scrub-bytes-per-second", "0"),  # most of the blobs are not there
            )
        )
        options = (
            *("--registry-address", registry.grpc, "--data", str(folder / "cache")),
            *("--metrics-port", "0", "--max-loaded-versions", str(hot)),
        )
        started = time.perf_counter()
        async with open_service("headrace_inference", *shared, *options):
            first = time.perf_counter() - started
        started = time.perf_counter()
        replica = await stack.enter_async_context(
            open_service("headrace_inference", *shared, *options)
        )
        again = time.perf_counter() - started
        channel = grpc.aio.insecure_channel(replica.grpc)
        stub: Any = pb_grpc.GRPCInferenceServiceStub(await stack.enter_async_context(channel))
        return [
            Figure("start, until the hot are loaded, nothing prepared", first, "s"),
            Figure("start, until the hot are loaded, all prepared", again, "s"),
            *await figures(stub, replica, redis, called_hot, fresh),
        ]


async def figures(
    stub: Any, replica: Service, redis: Any, hot: Sequence[str], fresh: Sequence[str]
) -> list[Figure]:
    """Return what a replica costs with these models hot."""
    await called(stub, hot)
    again = await called(stub, hot)
    resident, threads = resident_bytes(replica.pid), threads_of(replica.pid)
    before = (await redis.info("stats"))["total_net_input_bytes"]
    await asyncio.sleep(QUIET_SECONDS)
    written = ((await redis.info("stats"))["total_net_input_bytes"] - before) / QUIET_SECONDS
    quiet = threads_of(replica.pid)
    scrape, size = await scraped(replica.addresses["metrics"])
    taken = await called(stub, fresh)
    evicted = hot[: len(fresh)]
    cold = await called(stub, evicted)
    return [
        Figure("resident, all known, the hot loaded", resident / 1e6, "MB", 1000),
        Figure("threads, right after calls of all hot models", threads, ""),
        Figure("threads, when nobody has called for a while", quiet, ""),
        Figure("presence written a second", written / 1000, "kB", 10),
        Figure("/metrics, a scrape", scrape, "ms"),
        Figure("/metrics, size", size / 1e6, "MB"),
        Figure("request of a hot model, p50", statistics.median(again), "ms"),
        Figure("first request of a fresh small model, p50", statistics.median(taken), "ms"),
        Figure("first request of a fresh small model, longest", max(taken), "ms"),
        Figure("first request of a cold small model, p50", statistics.median(cold), "ms", 300),
        Figure("first request of a cold small model, longest", max(cold), "ms", 300),
    ]


def main() -> int:
    """Measure and print; the exit status says whether every goal was reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=10_000, help="how many are known")
    parser.add_argument("--hot", type=int, default=200, help="how many may be loaded")
    parser.add_argument("--cold", type=int, default=40, help="how many first requests are timed")
    options = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory(prefix="residency-") as folder:
        run = measure(Path(folder), options.models, options.hot, options.cold)
        for figure in asyncio.run(run):
            print(figure, flush=True)
            missed |= figure.missed
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
