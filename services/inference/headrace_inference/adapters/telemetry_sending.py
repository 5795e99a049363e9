"""Sends reports to the monitor, or to one of several: to the other one while it is away.

A report that a monitor may have is told to no other: it waits until that one is back, in the session that
it is of. What was never sent is told to the other one, in a session of its own (docs/adr/0059).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

import grpc

from headrace.errors import HeadraceError
from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import monitor_service_pb2_grpc as pb_grpc
from headrace.monitor.v1 import telemetry_pb2
from headrace.tls.peers import Peer
from headrace_inference.adapters.telemetry import TelemetryBuffer, timestamp

logger = logging.getLogger(__name__)

_FIRST_BACKOFF_SECONDS = 0.2
_MAX_BACKOFF_SECONDS = 5.0

AWAY_SECONDS = 3.0
"""A monitor that acknowledged nothing for so long is away, where there is another one."""

LOOK_SECONDS = 1.0
"""So often it is looked whether a monitor is there again, and that long at most."""

_REFUSALS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


def by_preference(replica: str, addresses: Iterable[str]) -> list[str]:
    """The addresses in the order in which this replica reports to them: a rendezvous of hashes.

    Replicas spread over monitors, and one more or less moves those alone that it takes or had.
    """

    def weight(address: str) -> bytes:
        return hashlib.blake2b(f"{address}\n{replica}".encode()).digest()

    return sorted(dict.fromkeys(addresses), key=weight)


async def send_telemetry(
    buffer: TelemetryBuffer, monitor: Peer, heard: Callable[[], None] | None = None
) -> None:
    """Send for ever, over one stream after the other; each acknowledgement is `heard`.

    With `heard` nothing is sent before there is a connection: what is not sent may go elsewhere.
    """
    backoff = _FIRST_BACKOFF_SECONDS
    told: grpc.StatusCode | None = None
    while True:
        over = asyncio.Event()
        try:
            channel, metadata = monitor.channel(), monitor.metadata()
            if heard is not None:
                await channel.channel_ready()
            stub = pb_grpc.MonitorServiceStub(channel)
            requests = _requests(buffer, over)
            async for response in stub.ReportTelemetry(requests, metadata=metadata):
                _acknowledge(buffer, response)
                backoff, told = _FIRST_BACKOFF_SECONDS, None
                if heard is not None:
                    heard()
        except HeadraceError as error:
            logger.warning("telemetry is kept, since it cannot be sent: %s", error)
        except grpc.aio.AioRpcError as error:
            _outlive(buffer, error, told)
            told = error.code()
        finally:
            over.set()
        await asyncio.sleep(backoff)
        backoff = min(backoff * 2, _MAX_BACKOFF_SECONDS)


class SharedMonitors:
    """Sends reports to the first of several monitors that is there; `monitors` are by preference."""

    def __init__(self, buffer: TelemetryBuffer, monitors: Sequence[Peer]) -> None:
        self._buffer = buffer
        self._monitors = monitors
        self._place = 0
        self._left: dict[int, list[telemetry_pb2.TelemetryReport]] = {}
        """By the place of a monitor, what only it may take of sessions that ended."""
        self._heard_at = 0.0

    async def run(self) -> None:
        """Send for ever."""
        self._heard_at = _now()
        sending = asyncio.ensure_future(self._send())
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                place = await self._better_place()
                if place == self._place and not sending.done():
                    continue
                sending.cancel()
                await asyncio.wait([sending])
                self._move(place)
                sending = asyncio.ensure_future(self._send())
        finally:
            sending.cancel()
            await asyncio.wait([sending])

    async def flush(self, timeout_seconds: float) -> None:
        """Send what is left, if the monitors take it within the time."""
        await flush_telemetry(self._buffer, self._monitors[self._place], timeout_seconds)
        for place in range(len(self._monitors)):
            is_asked = place != self._place and (len(self._buffer) or self._left.get(place))
            if is_asked and await self._is_settled(place) and len(self._buffer):
                self._move(place)
                await flush_telemetry(self._buffer, self._monitors[place], timeout_seconds)

    async def _send(self) -> None:
        await send_telemetry(self._buffer, self._monitors[self._place], self._hear)

    def _hear(self) -> None:
        self._heard_at = _now()

    async def _better_place(self) -> int:
        """The place of the monitor to report to now."""
        if not len(self._buffer):
            self._heard_at = _now()
        is_away = _now() - self._heard_at > AWAY_SECONDS
        for place in range(len(self._monitors)):
            is_better = place < self._place or (is_away and place > self._place)
            is_asked = is_better or self._left.get(place)
            if is_asked and await self._is_settled(place) and is_better:
                return place
        return self._place

    def _move(self, place: int) -> None:
        if place != self._place:
            left = self._buffer.leave()
            if left:
                self._left[self._place] = left
            logger.info("telemetry goes to another monitor", extra={"place": place})
        self._place, self._heard_at = place, _now()

    async def _is_settled(self, place: int) -> bool:
        """True for a monitor that can be reached, and that has all that was left for it."""
        monitor, left = self._monitors[place], self._left.get(place, [])
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                channel, metadata = monitor.channel(), monitor.metadata()
                await channel.channel_ready()
                if not left:
                    return True
                stub = pb_grpc.MonitorServiceStub(channel)
                requests = iter([_request(report) for report in left])
                async for response in stub.ReportTelemetry(requests, metadata=metadata):
                    taken = response.sequence if response is not None else 0
                    left = self._left[place] = [one for one in left if one.sequence > taken]
        except (TimeoutError, HeadraceError, grpc.aio.AioRpcError) as error:
            logger.debug("a monitor is away: %s", error)
            return False
        return not left


def _now() -> float:
    return asyncio.get_running_loop().time()


def _outlive(
    buffer: TelemetryBuffer, error: grpc.aio.AioRpcError, told: grpc.StatusCode | None
) -> None:
    """An outage keeps all reports; one that the monitor refuses as such would be refused for ever."""
    facts = {"code": error.code().name, "waiting_reports": len(buffer)}
    if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
        buffer.drop_oldest()
        logger.error("the monitor refused a report: %s", error.details(), extra=facts)
    elif error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and told is not error.code():
        logger.warning("the monitor is full, telemetry is kept: %s", error.details(), extra=facts)
    elif error.code() in _REFUSALS and told is not error.code():
        logger.warning(
            "the monitor refuses telemetry, which is kept: %s", error.details(), extra=facts
        )
    else:
        logger.debug("telemetry is kept until the monitor is back", extra=facts)


def _acknowledge(buffer: TelemetryBuffer, response: pb.ReportTelemetryResponse | None) -> None:
    """Take what the monitor acknowledges; gRPC gives None for bytes that it cannot decode."""
    if response is not None:
        buffer.acknowledge(response.sequence)


async def flush_telemetry(buffer: TelemetryBuffer, monitor: Peer, timeout_seconds: float) -> None:
    """Send what is left, if the monitor takes it within the time."""
    requests = _finite(buffer)
    try:
        stub, metadata = pb_grpc.MonitorServiceStub(monitor.channel()), monitor.metadata()
        answers = stub.ReportTelemetry(requests, timeout=timeout_seconds, metadata=metadata)
        async for response in answers:
            _acknowledge(buffer, response)
    except (grpc.aio.AioRpcError, HeadraceError):
        logger.warning("the last telemetry was not taken", extra={"reports": len(buffer)})


async def _requests(
    buffer: TelemetryBuffer, over: asyncio.Event
) -> AsyncIterator[pb.ReportTelemetryRequest]:
    """Yield reports as they come, until the stream is `over`: gRPC asks on for a while."""
    sent = 0
    while True:
        buffer.added.clear()
        for report in buffer.after(sent):
            if over.is_set():
                return
            sent = report.sequence
            buffer.sending(sent)
            yield _request(report)
        await buffer.added.wait()


def _finite(buffer: TelemetryBuffer) -> Iterator[pb.ReportTelemetryRequest]:
    for report in buffer.after(0):
        buffer.sending(report.sequence)
        yield _request(report)


def _request(report: telemetry_pb2.TelemetryReport) -> pb.ReportTelemetryRequest:
    """A report that is sent now."""
    return pb.ReportTelemetryRequest(report=report, sent_time=timestamp(time.time_ns()))
