"""What does loading cost, and who notices? Load times, memory, and the latency of a model that serves.

    python -m benchmarks.loading [--small N]

A replica's own layers in this process, on real sockets, with the catalog given by hand: nothing is
pushed, so that nothing but loading disturbs. A caller in another process calls the MLP, one request after
the other, all the time; what it saw while a chain of matrices with 200 MB loaded is set beside what it saw
before. `plain` opens versions in the replica alone; `cold` prepares them first, as a replica does; `cached`
finds them prepared, and hashes them. Threads are not chosen by measuring, which would add its two seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.memory import resident_bytes
from benchmarks.models import MLP, GraphBuilder, tensor
from benchmarks.servers import request_for
from headrace.datatypes import Datatype
from headrace.machine.memory import own_memory_bytes
from headrace.service.parent_death import tether
from headrace.state.catalog import Catalog
from headrace.state.records import (
    ArtifactFile,
    Batching,
    ModelRecord,
    Provider,
    ServingConfig,
    Signature,
    TensorSpec,
    VersionRecord,
)
from headrace.state.route_records import RouteRecord
from headrace_inference.adapters.allocator import tune_allocator
from headrace_inference.adapters.artifact_cache.file_checks import sha256, tree_digest
from headrace_inference.adapters.preparation.cached_opener import Preparation, open_preparing_opener
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.app.limits import ingress_limits
from headrace_inference.app.readiness import AlwaysReady
from headrace_inference.app.servers import open_fronts
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.scheduling.runner import Runner
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from headrace_inference.settings import Settings

LAYERS, WIDTH = 50, 1024
QUIET_SECONDS = 5.0
CACHED_LOADS = 10
"""One is over too soon to have a hundredth of its calls."""

CONFIG = ServingConfig(provider=Provider.CPU, instances=1, batching=Batching(max_batch_size=32))
CALLER = """
import json, sys, time, grpc
with grpc.insecure_channel(sys.argv[1]) as channel:
    call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    body = bytes.fromhex(sys.argv[2])
    print("ready", flush=True)
    seen = []
    end = time.monotonic() + float(sys.argv[3])
    while (started := time.monotonic()) < end:
        call(body)
        seen.append((started, time.monotonic()))
print(json.dumps(seen))
"""


def chain() -> bytes:
    """50 matrices of 4 MB each, one after the other: FP32 `x` [batch, 1024] to `y` of the same shape."""
    graph = GraphBuilder()
    state = "x"
    for layer in range(LAYERS):
        output = "y" if layer == LAYERS - 1 else ""
        state = graph.node("MatMul", state, graph.weight(WIDTH, WIDTH), output=output)
    shape: list[int | str] = ["batch", WIDTH]
    return graph.model([tensor("x", shape)], [tensor("y", shape)])


def record(name: str, graph: Path, width: tuple[int, int]) -> VersionRecord:
    """Version 1 of a model with one input and one output, whose graph says what it is."""
    specs = [
        TensorSpec(tensor_name, Datatype.FP32, (-1, size), ("batch", ""))
        for tensor_name, size in zip("xy", width, strict=True)
    ]
    signature = Signature((specs[0],), (specs[1],))
    files = (ArtifactFile(graph.name, graph.stat().st_size, sha256(graph)),)
    return VersionRecord(name, 1, graph.stem, files, graph.name, signature, CONFIG, 0.0)


@dataclass
class Loader:
    """Opens graphs of a folder, prepared or not."""

    folder: Path
    prepared: Path | None
    stack: contextlib.ExitStack

    def __post_init__(self) -> None:
        """Start what opens."""
        self._defaults = RuntimeDefaults(gives_way=True)
        if self.prepared is not None:
            preparation = Preparation(self.prepared, 20 << 30, tuning_seconds=0.0)
            self._opener = self.stack.enter_context(
                open_preparing_opener(preparation, self._defaults)
            )

    async def load(self, version: VersionRecord) -> Runner:
        """The open, warmed model."""
        path = self.folder / version.graph_path
        if self.prepared is None:
            return await asyncio.to_thread(open_session, path, version, self._defaults)
        return await asyncio.to_thread(self._opener.open, path, version)


@dataclass
class Served:
    """A replica whose catalog is given by hand."""

    reconciler: VersionReconciler
    address: str
    revision: int = 0

    async def want(self, versions: Sequence[VersionRecord]) -> float:
        """Hold these; how many seconds it took until all were ready."""
        started = time.monotonic()
        self.revision += 1
        route = RouteRecord(stable=1)
        models = {
            one.model: ModelRecord(one.model, 0.0, last_number=1, route=route) for one in versions
        }
        catalog = Catalog(self.revision, models, {(one.model, 1): one for one in versions})
        self.reconciler.want(catalog)
        while not self.reconciler.settled() or len(self.reconciler.versions()) != len(versions):
            self.reconciler.changed.clear()
            await self.reconciler.changed.wait()
        return time.monotonic() - started


@contextlib.asynccontextmanager
async def open_served(folder: Path, prepared: Path | None) -> AsyncIterator[Served]:
    """A replica on free ports."""
    settings = replace(
        Settings(
            redis_url="redis://unused", registry_address="unused", data=folder, metrics_port=0
        ),
        grpc_port=0,
        http_port=0,
        drain_seconds=1.0,
    )
    book = StatisticsRegistry()
    async with contextlib.AsyncExitStack() as stack:
        loader = Loader(folder, prepared, stack.enter_context(contextlib.ExitStack()))
        reconciler = VersionReconciler(loader, book, SYSTEM_CLOCK, settings.max_loading)
        await stack.enter_async_context(reconciler.running())
        fronts = await open_fronts(
            stack,
            settings,
            Ingress(reconciler, book, limits=ingress_limits(settings)),
            AlwaysReady(),
        )
        yield Served(reconciler, fronts.grpc_address)


@contextlib.contextmanager
def calling(address: str, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A process that calls the MLP for so long."""
    body = request_for(MLP).hex()
    command = [*tether(), sys.executable, "-c", CALLER, address, body, str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def percentiles(seen: Sequence[Sequence[float]], stretches: Sequence[tuple[float, float]]) -> str:
    """p50, p99 and the longest of the calls that touched one of these stretches of time, in ms."""
    took = [
        ended - began
        for start, end in stretches
        for began, ended in seen
        if ended > start and began < end
    ]
    p50, p99, most = (float(np.percentile(took, q)) * 1e3 for q in (50, 99, 100))
    return f"{len(took):6} calls  p50 {p50:6.2f}  p99 {p99:6.2f}  max {most:6.2f} ms"


async def measure(name: str, folder: Path, prepared: Path | None, small: int, loads: int) -> None:
    """Load the small ones, then the large one beside the MLP so many times, and print what it took."""
    mlp = record("mlp", folder / "mlp.onnx", (16, 4))
    large = record("large", folder / "large.onnx", (WIDTH, WIDTH))
    many = [replace(mlp, model=f"small-{place}", digest=f"small-{place}") for place in range(small)]
    async with open_served(folder, prepared) as served:
        print(f"{name}: {small} small models in {await served.want(many):.2f} s")
        await served.want([mlp])
        seconds = QUIET_SECONDS * 2 + 5
        with calling(served.address, seconds) as process:
            assert process.stdout
            await asyncio.to_thread(process.stdout.readline)
            start = time.monotonic()
            await asyncio.sleep(QUIET_SECONDS)
            before, own_before = resident_bytes_here(), own_memory_bytes()
            stretches = [(start + 1, time.monotonic())]
            for load in range(loads):
                if load:
                    await served.want([mlp])
                loading = time.monotonic()
                await served.want([mlp, large])
                stretches.append((loading, time.monotonic()))
            held, own = resident_bytes_here() - before, own_memory_bytes() - own_before
            seen = json.loads(await asyncio.to_thread(process.stdout.readline))
        took = float(np.median([end - start for start, end in stretches[1:]]))
        hashing = hashing_seconds(folder / "large.onnx") if prepared else 0.0
        print(f"  200 MB in {took:.2f} s, {hashing:.2f} of it hashing")
        print(f"  resident +{held >> 20} MiB, its own +{own >> 20} MiB")
        print(f"  the MLP before:    {percentiles(seen, stretches[:1])}")
        print(f"  while it loaded:   {percentiles(seen, stretches[1:])}")
        await served.want([mlp])
        left = resident_bytes_here() - before
        print(f"  unloaded: resident +{left >> 20} MiB")


def hashing_seconds(path: Path) -> float:
    """Return how long it takes now to compare a file with its digest."""
    started = time.monotonic()
    tree_digest(path)
    return time.monotonic() - started


def resident_bytes_here() -> int:
    """VmRSS of this process."""
    import os

    return resident_bytes(os.getpid())


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--small", type=int, default=50)
    arguments = parser.parse_args()
    tune_allocator()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as path:
        folder = Path(path)
        (folder / "mlp.onnx").write_bytes(MLP.graph())
        (folder / "large.onnx").write_bytes(chain())
        for name, prepared, loads in (
            ("plain", None, 1),
            ("cold", folder / "prepared", 1),
            ("cached", folder / "prepared", CACHED_LOADS),
        ):
            asyncio.run(measure(name, folder, prepared, arguments.small, loads))
    return 0


if __name__ == "__main__":
    sys.exit(main())
