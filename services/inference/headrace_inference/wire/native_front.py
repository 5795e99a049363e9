"""The fast front: ModelInfer over pygrpc-native, whose HTTP/2 and gRPC framing run outside the GIL.

The one module that knows pygrpc-native. One thread receives calls in bursts, parses, routes and queues
them; the instance threads answer them by id. Everything else on the port goes to a grpc.aio server behind
a Unix socket. Known limits of the package: its queue of events has no bound, so this thread never waits for
anything but events and refuses at once what is over our own bounds; a message has no size limit until it
has arrived whole; and it does not terminate TLS.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from headrace import logs, status
from headrace.errors import FailedPrecondition, HeadraceError, Internal, ResourceExhausted
from headrace_inference.domain.dataplane import (
    ROUTE_ATTEMPTS,
    DataPlane,
    in_graph_order,
    unloading,
)
from headrace_inference.domain.pool import PoolClosed, shutting_down
from headrace_inference.domain.requests import BatchResult, Pending
from headrace_inference.domain.served import ServedVersion
from headrace_inference.wire.answers import encode_answers
from headrace_inference.wire.contents import contents_of
from headrace_inference.wire.request_parser import Parsed, RequestParser

logger = logging.getLogger(__name__)

MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
MAX_BURST = 512
RETRY_AFTER_SECONDS = 0.1
_DRAIN_POLL_SECONDS = 0.01


def available() -> bool:
    """Whether the package is installed and works on this platform."""
    try:
        import pygrpc_native  # noqa: F401
    except ImportError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class FrontLimits:
    """What the front holds at most; over either the answer is RESOURCE_EXHAUSTED."""

    max_requests: int
    max_bytes: int


@dataclass(slots=True)
class _Call:
    """What it takes to answer a request."""

    id: int
    parsed: Parsed
    size: int


class NativeFront:
    """The receiving thread and the sink of the requests it takes."""

    def __init__(self, front: Any, dataplane: DataPlane, limits: FrontLimits) -> None:
        from pygrpc_native import EVENT_CALL

        self._event_call = EVENT_CALL
        self._front = front
        self._dataplane = dataplane
        self._limits = limits
        self._parser = RequestParser()
        self._pending: dict[int, Pending] = {}
        self._bytes = 0
        self._bytes_lock = threading.Lock()
        self._stopping = False

    @property
    def requests_in_flight(self) -> int:
        """How many requests wait or run."""
        return len(self._pending)

    def stop_accepting(self) -> None:
        """From now on answer new requests with UNAVAILABLE."""
        self._stopping = True

    def receive(self) -> None:
        """Take bursts until the front is closed."""
        receive = self._front.recv_batch_details
        while (events := receive(MAX_BURST, None)) is not None:
            self._take_burst(events, time.monotonic_ns())

    def _take_burst(self, events: Sequence[Any], now: int) -> None:
        groups: dict[ServedVersion, list[Pending]] = {}
        for kind, call_id, _, payload, _, details in events:
            if kind != self._event_call:
                self._cancel(call_id)
                continue
            try:
                served, pending = self._admit(call_id, payload, details, now)
            except HeadraceError as error:
                self._refuse(call_id, error)
                continue
            except Exception:
                logger.exception("a bug ended a call")
                self._refuse(call_id, Internal("INTERNAL", "the service failed on its own account"))
                continue
            if served in groups:
                groups[served].append(pending)
            else:
                groups[served] = [pending]
        for served, group in groups.items():
            self._submit(served, group)

    def _admit(
        self, call_id: int, payload: bytes, details: Any, now: int
    ) -> tuple[ServedVersion, Pending]:
        if self._stopping:
            raise shutting_down()
        size = len(payload)
        if len(self._pending) >= self._limits.max_requests or (
            self._bytes + size > self._limits.max_bytes
        ):
            raise self._over_limit()
        parsed = self._parser.parse(payload)
        try:
            served, pending = self._plan(_Call(call_id, parsed, size), now)
        except HeadraceError as error:
            self._log_refusal(details, error)
            self._dataplane.record_refusal(parsed.head.model_name, error, now)
            raise
        remaining = details[2]
        if remaining is not None:
            pending.deadline_ns = now + int(remaining * 1e9)
        self._pending[call_id] = pending
        with self._bytes_lock:
            self._bytes += size
        return served, pending

    def _plan(self, call: _Call, now: int) -> tuple[ServedVersion, Pending]:
        head = call.parsed.head
        served, route = self._dataplane.keeper.table.pick(head.model_name, head.model_version)
        plan = head.plans.get(served.id)
        if plan is None:
            plan = head.plans[served.id] = served.plan(head.inputs, head.outputs)
        contents = in_graph_order(served, plan, contents_of(call.parsed))
        return served, Pending(plan, contents, route, now, None, served.statistics, self, call)

    def _submit(self, served: ServedVersion, group: list[Pending]) -> None:
        try:
            served.pool.submit(group)
        except PoolClosed:
            for pending in group:
                self._submit_again(pending)

    def _submit_again(self, former: Pending) -> None:
        """The version went while the burst was parsed: the present table knows its successor."""
        for _ in range(ROUTE_ATTEMPTS):
            try:
                served, pending = self._plan(former.reply, former.received_ns)
                pending.deadline_ns = former.deadline_ns
                self._pending[former.reply.id] = pending
                served.pool.submit([pending])
            except PoolClosed:
                continue
            except HeadraceError as error:
                former.fail(error)
            return
        former.fail(unloading())

    def _cancel(self, call_id: int) -> None:
        pending = self._pending.get(call_id)
        if pending is not None:
            pending.cancelled = True

    def answered(self, served: Any, result: BatchResult, indexes: Sequence[int]) -> None:
        """Answer these requests of a batch."""
        calls: list[_Call] = [result.requests[index].reply for index in indexes]
        ids = [call.parsed.id for call in calls]
        respond = self._front.respond
        for call, payload in zip(calls, encode_answers(served, result, indexes, ids), strict=True):
            respond(call.id, payload)
        self._done(calls)

    def failed(self, request: Pending, error: HeadraceError) -> None:
        """Answer this request with an error."""
        self._refuse(request.reply.id, error)
        self._done([request.reply])

    def _done(self, calls: Sequence[_Call]) -> None:
        for call in calls:
            self._pending.pop(call.id, None)
        with self._bytes_lock:
            self._bytes -= sum([call.size for call in calls])

    def _refuse(self, call_id: int, error: HeadraceError) -> None:
        trailers = status.trailing_metadata(error)
        self._front.fail(call_id, status.grpc_code_number(error), error.message, trailers)

    def _log_refusal(self, details: Any, error: HeadraceError) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            with logs.bound(logs.request_context(details[0])):
                logger.debug("request refused: %s", error.message, extra={"reason": error.reason})

    def _over_limit(self) -> HeadraceError:
        limits = self._limits
        return ResourceExhausted(
            "REPLICA_OVERLOADED",
            f"this replica holds {len(self._pending)} requests of {self._bytes} bytes; it holds at most "
            f"{limits.max_requests} (max_requests_in_flight) of {limits.max_bytes} bytes "
            "(max_bytes_in_flight); retry later, or add replicas",
            facts={"max_requests_in_flight": str(limits.max_requests)},
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )


@dataclass(frozen=True, slots=True)
class OpenNativeFront:
    """A front that serves, and the port it got."""

    front: NativeFront
    port: int


@asynccontextmanager
async def open_native_front(
    address: str,
    fallback_path: str,
    dataplane: DataPlane,
    limits: FrontLimits,
    drain_seconds: float,
) -> AsyncIterator[OpenNativeFront]:
    """Serve on `address` while inside; what is not ModelInfer goes to the server at `fallback_path`.

    On leaving, new requests are refused and those in flight have `drain_seconds` to be answered.
    Raises FailedPrecondition (ADDRESS_IN_USE) where the address cannot be bound.
    """
    native = _bind(address)
    native.set_fallback(fallback_path)
    front = NativeFront(native, dataplane, limits)
    thread = threading.Thread(target=front.receive, name="native-front", daemon=True)
    native.start()
    thread.start()
    try:
        yield OpenNativeFront(front, native.bound_port)
    finally:
        front.stop_accepting()
        deadline = time.monotonic() + drain_seconds
        while front.requests_in_flight and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_DRAIN_POLL_SECONDS)  # the answering threads know no event loop
        native.close()
        await asyncio.to_thread(thread.join)


def _bind(address: str) -> Any:
    from pygrpc_native import NativeGrpcFront

    try:
        return NativeGrpcFront(address, [(MODEL_INFER, False)], call_details=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise FailedPrecondition(
            "ADDRESS_IN_USE",
            f"cannot listen on {address} ({error}); choose another with --grpc-port (0 takes a free one)",
            facts={"address": address},
        ) from error
