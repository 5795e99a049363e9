"""Opens the native front on its port, and closes it draining.

ModelInfer comes over pygrpc-native, whose HTTP/2 and gRPC framing run outside the GIL; everything else on
the port goes to a grpc.aio server behind a Unix socket. Known limits of the package: its queue of events
has no bound, so the receiving thread never waits for anything but events; a message has no size limit
until it has arrived whole; and it does not terminate TLS.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from headrace.errors import FailedPrecondition
from headrace.service.grpc_serving import MAX_METADATA_BYTES
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.wire.native.front import NativeFront
from headrace_inference.wire.native.package import Package, message_bytes
from headrace_inference.wire.native.receiver import Receiver

MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
MAX_IO_THREADS = 4
_DRAIN_POLL_SECONDS = 0.01
_QUIET_SECONDS = 1.0
"""How long a moment without requests is waited for before new ones are refused: clients send those that
come after the connections' end (GOAWAY) to other replicas by themselves, and not those that are refused."""


def available() -> bool:
    """Tell whether the package is installed and works on this platform."""
    try:
        import pygrpc_native  # noqa: F401
    except ImportError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class OpenNativeFront:
    """A front that serves, and the port it got."""

    front: NativeFront
    port: int


@dataclass(frozen=True, slots=True)
class NativeOptions:
    """Options of the native front."""

    drain_seconds: float
    """The time that what is in flight may take when the front closes."""
    io_threads: int = 1
    """The package's threads for HTTP/2."""
    poll_ns: int = 0
    """The time that the receiving thread polls for the next call before it sleeps, in nanoseconds."""
    shares_port: bool = False
    """Whether other servers may listen on the same port."""
    is_of_gateway: bool = False
    """Whether nobody but a gateway can call."""


def io_threads(cores: int) -> int:
    """Threads for HTTP/2 on so many cores: more of them take the cores from those that run models.

    On two cores one thread instead of two took a tenth off the CPU time of a request of 1 MiB.
    """
    return max(1, min(MAX_IO_THREADS, cores // 2))


@asynccontextmanager
async def open_native_front(
    address: str, fallback_path: str, ingress: Ingress, options: NativeOptions
) -> AsyncIterator[OpenNativeFront]:
    """Serve on `address` while inside; what is not ModelInfer goes to the server at `fallback_path`.

    On leaving, those in flight have `drain_seconds` to be answered; new ones are refused, unless there is
    a moment without any in which the port can be closed.
    Raises FailedPrecondition (ADDRESS_IN_USE) where the address cannot be bound.
    """
    native = _bind(address, options)
    native.set_fallback(fallback_path)
    front = NativeFront(native, ingress, is_of_gateway=options.is_of_gateway)
    receiver = Receiver(native.recv_batch_details, front.take, message_bytes, options.poll_ns)
    ingress.last_bursts.append(lambda: receiver.last_burst_ns)

    native.start()
    with front.decoder.running():
        async with receiver.receiving():
            try:
                yield OpenNativeFront(front, native.bound_port)
                await _wait_until_idle(front, min(options.drain_seconds, _QUIET_SECONDS))
                front.stop_accepting()
                await _wait_until_idle(front, options.drain_seconds)
            finally:
                native.close()
                front.abandon()


async def _wait_until_idle(front: NativeFront, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while front.requests_in_flight and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(_DRAIN_POLL_SECONDS)  # the answering threads know no event loop


def _bind(address: str, options: NativeOptions) -> Package:
    from pygrpc_native import NativeGrpcFront

    try:
        package: Package = NativeGrpcFront(
            address,
            [(MODEL_INFER, False)],
            io_threads=options.io_threads,
            call_details=True,
            metrics=True,
            max_metadata_size=MAX_METADATA_BYTES,
            reuse_port=options.shares_port,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise FailedPrecondition(
            "ADDRESS_IN_USE",
            f"cannot listen on {address} ({error}); choose another with --grpc-port (0 takes a free one)",
            facts={"address": address},
        ) from error
    return package
