"""What do pushes cost, and whom do they hold up?

    python -m benchmarks.pushes [--pushes 20] [--stalled 300] [--gigabytes 1]

A registry in a process of its own, on the embedded server. Pushed are: as many different small models, and
one of them as often again; one while two checks run that take all the time they may; announcements of 100
MiB that send nothing, which are refused over the limit; and a model with external data, all holes, packed
by the client and unpacked by the check. Memory is what is no file's: of the registry for each announcement,
and the most of any process that checks.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.processes import open_service
from headrace.client import AsyncClient
from headrace.local.embedded_redis import open_embedded_server
from headrace.machine.memory import own_memory_bytes
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.registry.v1 import registry_service_pb2_grpc

WIDTH = 4096
MIB = 1 << 20
_CONNECTIONS = 8
_OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


@dataclass(slots=True)
class Registry:
    """A registry process, and the most memory of any process that checked for it."""

    address: str
    pid: int
    check_bytes: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def watch_checks(self) -> None:
        """Look at its children until it is over."""
        while not self.over.wait(0.02):
            held = [own_memory_bytes(pid) for pid in _children(self.pid)]
            self.check_bytes = max(self.check_bytes, *held, 0)


def _children(pid: int) -> list[int]:
    listed: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            listed += map(int, (task / "children").read_text().split())
        except OSError:  # a thread that ended
            continue
    return listed


@asynccontextmanager
async def open_registry(folder: Path) -> AsyncIterator[Registry]:
    """A registry in a process of its own, with a server of its own."""
    async with open_embedded_server(folder / "redis") as url:
        options = ("--redis-url", url, "--data", str(folder / "registry"))
        async with open_service("headrace_registry", *options) as service:
            registry = Registry(service.grpc, service.pid)
            watching = threading.Thread(target=registry.watch_checks)
            watching.start()
            try:
                yield registry
            finally:
                registry.over.set()
                watching.join()


def small_model(bias: float) -> bytes:
    """A graph that adds a number."""
    return _model(
        [helper.make_node("Add", ["x", "b"], ["y"])],
        [numpy_helper.from_array(np.array([bias], np.float32), "b")],
        ["n", 4],
    )


def slow_model(products: int) -> bytes:
    """A small file that keeps constant folding busy for as long as it is let."""
    shape = numpy_helper.from_array(np.array([4000, 4000]), "shape")
    names = [f"p{step}" for step in range(products + 1)]
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["p0"])]
    nodes += [helper.make_node("MatMul", [names[i], "p0"], [names[i + 1]]) for i in range(products)]
    nodes += [helper.make_node("ReduceMax", names[-1:], ["most"], keepdims=0)]
    return _model([*nodes, helper.make_node("Add", ["x", "most"], ["y"])], [shape], ["n", 4])


def write_large_model(folder: Path, gigabytes: float) -> Path:
    """A chain of matrices whose weights lie beside the graph, in a file that is one hole."""
    size = WIDTH * WIDTH * 4
    count = max(1, int(gigabytes * 2**30 / size))
    weights = []
    for number in range(count):
        tensor = TensorProto(name=f"w{number}", data_type=TensorProto.FLOAT, dims=[WIDTH, WIDTH])
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": "weights.bin", "offset": str(number * size), "length": str(size)}
        for key, value in place.items():
            tensor.external_data.append(onnx.StringStringEntryProto(key=key, value=value))
        weights.append(tensor)
    names = ["x", *(f"h{number}" for number in range(count - 1)), "y"]
    nodes = [helper.make_node("MatMul", [names[i], f"w{i}"], [names[i + 1]]) for i in range(count)]
    (folder / "model.onnx").write_bytes(_model(nodes, weights, ["n", WIDTH]))
    with (folder / "weights.bin").open("wb") as file:
        file.truncate(count * size)
    return folder / "model.onnx"


def _model(nodes: list[Any], weights: list[Any], shape: list[Any]) -> bytes:
    info = helper.make_tensor_value_info
    given, gives = info("x", TensorProto.FLOAT, shape), info("y", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "pushed", [given], [gives], weights)
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    return bytes(model.SerializeToString())


async def seconds_for(client: AsyncClient, pushes: list[bytes | Path], model: str) -> float:
    """Return how long these pushes take, one after the other."""
    started = time.monotonic()
    for source in pushes:
        await client.push(model, source)
    return time.monotonic() - started


async def while_others_are_slow(client: AsyncClient) -> float:
    """Return how long a small model takes that is pushed after two slow ones."""
    slow = [
        asyncio.ensure_future(client.push(f"slow-{each}", slow_model(500 + each)))
        for each in range(2)
    ]
    await asyncio.sleep(1.0)
    seconds = await seconds_for(client, [small_model(-1.0)], "quick")
    for push in slow:
        push.cancel()
    await asyncio.wait(slow)
    return seconds


@contextmanager
def announced(address: str, count: int) -> Iterator[list[Any]]:
    """So many pushes that announce 100 MiB and send nothing."""
    header = pb.PushVersionRequest.Header(
        parent="models/m",
        filename="m.tar",
        size_bytes=100 * MIB,
        sha256="0" * 64,
        create_model=True,
    )
    over = threading.Event()

    def messages() -> Iterator[pb.PushVersionRequest]:
        yield pb.PushVersionRequest(header=header)
        over.wait(60)

    channels = [grpc.insecure_channel(address, _OWN_CONNECTION) for _ in range(_CONNECTIONS)]
    calls = [
        registry_service_pb2_grpc.RegistryServiceStub(
            channels[number % _CONNECTIONS]
        ).PushVersion.future(messages(), timeout=60)
        for number in range(count)
    ]
    time.sleep(3.0)  # none of them says that it was taken
    yield calls
    over.set()
    for channel in channels:
        channel.close()


async def report(pushes: int, stalled: int, gigabytes: float) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        async with (
            open_registry(Path(name)) as registry,
            AsyncClient(registry=registry.address) as client,
        ):
            different = await seconds_for(
                client, [small_model(n) for n in range(pushes)], "different"
            )
            same = await seconds_for(client, [small_model(0)] * pushes, "same")
            print(f"{pushes} different models {different:.1f} s; the same bytes again {same:.1f} s")
            print(
                f"a small model behind two slow checks {await while_others_are_slow(client):.1f} s"
            )
            before = own_memory_bytes(registry.pid)
            with announced(registry.address, stalled) as calls:
                refused = sum(call.done() for call in calls)
                each = (own_memory_bytes(registry.pid) - before) / stalled / 1000
            print(f"{stalled} announcements: {refused} refused, {each:.0f} kB each")
            registry.check_bytes = 0
            graph = write_large_model(Path(name), gigabytes)
            seconds = await seconds_for(client, [graph], "large")
            held = registry.check_bytes / MIB
            print(
                f"{gigabytes:g} GiB of external data {seconds:.0f} s, its check held {held:.0f} MiB"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=20)
    parser.add_argument("--stalled", type=int, default=300)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    given = parser.parse_args()
    asyncio.run(report(given.pushes, given.stalled, given.gigabytes))
