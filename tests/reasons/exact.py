"""An exact client: what it was told of a request, over each wire, and what was counted."""

from __future__ import annotations

import asyncio
import io
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import grpc

from headrace import errors, status
from headrace_inference.adapters.telemetry import TelemetryBuffer
from headrace_inference.domain.ingress.ingress import Ingress
from tests.reasons.messages import Rest
from tests.rpc.monitors import FakeClock, running_monitor

METHOD = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
PATIENCE_SECONDS = 5.0
_AS_STATUS = (("triton_grpc_error", "true"),)
_PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
_SERIES = re.compile(r"^(\w+)\{(.*)\} (\d+)(?:\.0)?$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True, order=True)
class Told:
    """The status and the reason that a caller was told; OK and '' where it was answered."""

    status: str
    reason: str


def listed() -> set[tuple[str, str]]:
    """The classes and reasons of docs/errors.md."""
    found, kind = set(), ""
    for line in _PAGE.read_text().splitlines():
        if heading := re.fullmatch(r"## (\w+)", line):
            kind = heading[1]
        elif row := re.match(r"\| `([A-Z0-9_]+)` \|", line):
            found.add((kind, row[1]))
    return found


def expected(kind: str, reason: str, *, over_http: bool = False) -> Told:
    """What a caller must be told of a reason of this class."""
    error: errors.HeadraceError = getattr(errors, kind)(reason, "")
    code = status.http_status(error).name if over_http else status.grpc_code(error).name
    return Told(code, reason)


async def told_by(call: Any) -> Told:
    """What a gRPC call, or a stream, ended with."""
    try:
        if hasattr(call, "__aiter__"):
            async for _ in call:
                pass
        else:
            await call
    except grpc.RpcError as error:
        failed: Any = error  # of either stack
        return Told(failed.code().name, status.error_from_rpc(error).reason)
    return Told("OK", "")


class ExactClient:
    """Sends one request at a time to a replica."""

    def __init__(
        self, channel: grpc.aio.Channel, session: aiohttp.ClientSession, http_address: str
    ) -> None:
        self._call: Any = channel.unary_unary(METHOD)
        self._stream: Any = channel.stream_stream(STREAM)
        self._session = session
        self._url = f"http://{http_address}"

    async def call(self, payload: bytes, **options: Any) -> Told:
        """ModelInfer."""
        return await told_by(self._call(payload, **options))

    async def stream(self, payload: bytes, **options: Any) -> Told:
        """ModelStreamInfer, of one request."""
        return await told_by(self._stream(iter([payload]), metadata=_AS_STATUS, **options))

    def open_stream(self) -> Any:
        """A stream on which nothing is written yet.

        grpc.aio tells INTERNAL, and not the status, where a stream has ended before a message is written.
        """
        return self._stream(metadata=_AS_STATUS)

    async def post(self, asked: Rest) -> Told:
        """A POST."""
        return await self.request(
            "POST", asked.path, data=io.BytesIO(asked.body), headers=asked.headers
        )

    async def request(self, verb: str, path: str, **options: Any) -> Told:
        """Any HTTP request."""
        async with self._session.request(verb, self._url + path, **options) as response:
            if response.status == 200:
                return Told("OK", "")
            return Told(HTTPStatus(response.status).name, (await response.json())["reason"])


def in_book(ingress: Ingress) -> Counter[str]:
    """The errors of inference requests by reason, as the replica has them now."""
    totals = [statistics.totals().errors for _, statistics in ingress.book.items()]
    return sum(totals, Counter[str]())


async def settled(ingress: Ingress, count: int) -> Counter[str]:
    """The errors once there are so many, or after a while: a caller who left hears nothing of it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while in_book(ingress).total() < count:  # noqa: ASYNC110 - threads know no event loop
                await asyncio.sleep(0.001)
    return in_book(ingress)


async def monitored(ingress: Ingress, folder: Path) -> tuple[Counter[str], Counter[str]]:
    """The errors that a monitor shows which is told what the replica counted, and those that it timed."""
    buffer = TelemetryBuffer("r", ingress.book, 10)
    buffer.collect()
    folder.mkdir()  # noqa: ASYNC240
    async with running_monitor(folder, FakeClock(time.time_ns())) as monitor:
        await monitor.send(buffer.after(0))
        _, page = await monitor.get("/metrics")
        answer = await monitor.query(parts_by=["reason"])
    timed = Counter[str]()
    for one in answer.statistics:
        own = Counter({part.value: part.failed.count for part in one.parts})
        assert own.total() == one.failed.count
        timed += own
    return _by_reason(page, "headrace_request_errors_total"), timed


async def scraped(address: str, name: str) -> Counter[str]:
    """A metric of errors, by reason, as a scraper has it."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}/metrics") as response,
    ):
        return _by_reason(await response.text(), name)


def _by_reason(text: str, name: str) -> Counter[str]:
    found = Counter[str]()
    for metric, labels, count in _SERIES.findall(text):
        if metric == name:
            found[dict(_LABEL.findall(labels))["reason"]] += int(count)
    return found
