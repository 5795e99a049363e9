"""The suite under attack: how to call it, and how to see that it is unharmed."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from headrace import AsyncClient, status
from headrace.inference import grpc_service_pb2 as pb
from tests.hostile.messages import INFER, request
from tests.hostile.models import graphs
from tests.suite import RunningSuite, running_suite

MIB = 2**20
CALL_SECONDS = 20.0
GOOD_SECONDS = 5.0
"""In how long a good request is answered, whatever came before it."""

MAX_MESSAGE_BYTES = 256 * MIB
"""The replicas' setting for these tests, so that a message over it can be sent."""

GROWTH_BYTES = {"replica-0": 1024 * MIB, "registry": 150 * MIB, "monitor": 150 * MIB}
"""What a process may hold above what it held at first: the replica four of the largest messages."""

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@dataclass(frozen=True, slots=True)
class Target:
    """A suite, channels to its services, and what its processes were when it was whole."""

    suite: RunningSuite
    front: str
    channels: dict[str, Any]
    pids: dict[str, int]
    resident: dict[str, int]
    pushed: set[str] = field(default_factory=set)
    """Further models that tests have pushed to it."""

    def call(
        self, service: str, method: str, payload: bytes | Sequence[bytes], **options: Any
    ) -> str:
        """What a method makes of a message, or of several: `OK`, or a status and its reason."""
        channel = self.channels[service]
        if isinstance(payload, bytes):
            return outcome_of(
                lambda: list(channel.unary_stream(method)(payload, timeout=CALL_SECONDS, **options))
            )
        return outcome_of(
            lambda: list(
                channel.stream_stream(method)(iter(payload), timeout=CALL_SECONDS, **options)
            )
        )

    def infer(self, payload: bytes, **options: Any) -> str:
        """What ModelInfer makes of these bytes."""
        return self.call("inference", INFER, payload, **options)

    def http_address(self, service: str) -> str:
        """Where a service speaks HTTP."""
        ready = self.suite.ready
        address = {
            "inference": ready["inference"][0]["http"],
            "metrics": ready["inference"][0]["metrics"],
            "registry": ready["registry_http"],
            "monitor": ready["monitor_http"],
        }[service]
        return str(address)

    def assert_unharmed(self) -> None:
        """A good request is right and in time, the processes are the same, and none outgrew its bound."""
        began = time.monotonic()
        self.assert_serves()
        assert time.monotonic() - began < GOOD_SECONDS
        assert self.pids == self.suite.pids()
        for name, bound in GROWTH_BYTES.items():
            grown = resident_bytes(self.pids[name]) - self.resident[name]
            assert grown < bound, f"{name} grew by {grown // MIB} MiB"

    def assert_serves(self) -> None:
        """A good request is answered with the right numbers."""
        answer = self.channels["inference"].unary_unary(INFER)(request(), timeout=GOOD_SECONDS)
        values = pb.ModelInferResponse.FromString(answer).raw_output_contents
        assert [struct.pack("<2f", 2.0, 4.0)] == list(values)


@asynccontextmanager
async def open_target(folder: Path, front: str) -> AsyncIterator[Target]:
    """A suite on this front with the models in it, stopped on leaving."""
    environ = {"HEADRACE_INFERENCE_MAX_MESSAGE_BYTES": str(MAX_MESSAGE_BYTES)}
    with ExitStack() as stack:
        async with running_suite(folder, extra=[f"--front={front}"], environ=environ) as suite:
            await _push_models(suite)
            addresses = {
                "inference": suite.inference,
                "registry": suite.registry,
                "monitor": suite.monitor,
            }
            channels = {
                service: stack.enter_context(grpc.insecure_channel(address, options=_UNLIMITED))
                for service, address in addresses.items()
            }
            pids = suite.pids()
            resident = {name: resident_bytes(pid) for name, pid in pids.items()}
            yield Target(suite, front, channels, pids, resident)


async def _push_models(suite: RunningSuite) -> None:
    async with AsyncClient(
        registry=suite.registry, inference=suite.inference, monitor=suite.monitor
    ) as client:
        for name, graph in graphs().items():
            version = await client.push(name, graph, timeout_seconds=60)
            await client.wait_until_ready(name, version.number, timeout_seconds=60)


def outcome_of(call: Callable[[], object]) -> str:
    """`OK`, or the status and the reason that a call fails with."""
    try:
        call()
    except grpc.RpcError as error:
        known = status.error_from_rpc(error)
        code: Any = error
        name = str(code.code().name)
        return name if known.reason == name else f"{name} {known.reason}"
    return "OK"


def resident_bytes(pid: int) -> int:
    """How much memory a process holds (Linux only)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
