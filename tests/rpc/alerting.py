"""A real monitor that evaluates its rules all the time, and a receiver that is a real HTTP server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from headrace.monitor.v1 import alert_service_pb2 as pb
from headrace.monitor.v1 import alert_service_pb2_grpc, telemetry_pb2
from tests.rpc.monitors import (
    MILLISECOND,
    SECOND,
    FakeClock,
    RunningMonitor,
    report,
    running_monitor,
    telemetry,
)

STEP = 4

RULES = """
[[receivers]]
name = "hook"
kind = "webhook"
url = "{url}"
"""


@dataclass(slots=True)
class Received:
    """One request that a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(slots=True)
class Receiver:
    """A real HTTP server that keeps what it is sent; `status` is what it answers."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    requests: asyncio.Queue[Received] = field(default_factory=asyncio.Queue)

    async def handle(self, request: web.Request) -> web.Response:
        """Keep a request."""
        await self.requests.put(Received(request.path, dict(request.headers), await request.read()))
        return web.Response(status=self.status, headers=self.headers)

    async def next(self) -> Received:
        """The next request."""
        return await asyncio.wait_for(self.requests.get(), 20)

    async def told(self) -> list[tuple[str, str]]:
        """The rules and states of the next notification."""
        return [(each["rule"], each["state"]) for each in (await self.next()).document["alerts"]]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free port while inside."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        receiver.url = f"http://{host}:{port}"
        yield receiver
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class Scene:
    """A monitor, its clock, and its service of alerts."""

    monitor: RunningMonitor
    clock: FakeClock
    alerts: Any
    sequence: dict[str, int] = field(default_factory=dict)

    async def evaluated(self) -> None:
        """Wait until all rules were evaluated after this."""
        known = await self._evaluations()
        while await self._evaluations() < known + 2:  # the one under way may have begun before
            pass

    async def _evaluations(self) -> int:
        answer = await self.alerts.ListAlerts(pb.ListAlertsRequest())
        assert not answer.HasField("stalled_time")
        return int(answer.evaluations)

    async def report(
        self, *versions: telemetry_pb2.VersionTelemetry, replica: str = "a", **more: Any
    ) -> None:
        """A replica reports what it did in the last second."""
        self.sequence[replica] = self.sequence.get(replica, 0) + more.pop("skip", 0) + 1
        boot = more.pop("boot_id", "boot")
        now = self.clock.now_ns()
        await self.monitor.send(
            [report(replica, self.sequence[replica], *versions, end_ns=now, boot_id=boot, **more)]
        )

    async def serve(
        self, seconds: int, good: int = 30, failed: int = 0, milliseconds: int = 1, **more: Any
    ) -> None:
        """Time passes, and every four seconds a replica reports requests, before it would be silent."""
        for _ in range(seconds // STEP):
            self.clock.pass_by(STEP * SECOND)
            counted = telemetry(
                [milliseconds * MILLISECOND] * good, failed=failed, version=more.get("version", 1)
            )
            if failed:
                counted.error_counts.clear()
                counted.error_counts[more.get("reason", "RUN_FAILED")] = failed
            await self.report(counted, replica=more.get("replica", "a"))

    async def states(self, **fields: Any) -> list[tuple[str, int]]:
        """Rules and states of alerts."""
        found = await self.alerts.ListAlerts(pb.ListAlertsRequest(**fields))
        return [(each.rule, each.state) for each in found.alerts]

    async def only(self, **fields: Any) -> pb.Alert:
        """The only alert that there is."""
        (found,) = (await self.alerts.ListAlerts(pb.ListAlertsRequest(**fields))).alerts
        assert isinstance(found, pb.Alert)
        return found

    async def apply(self, rules: str, **fields: Any) -> pb.ApplyRulesResponse:
        """Apply rules."""
        found = await self.alerts.ApplyRules(pb.ApplyRulesRequest(rules=rules, **fields))
        assert isinstance(found, pb.ApplyRulesResponse)
        return found


@asynccontextmanager
async def alerting(
    folder: Path, clock: FakeClock | None = None, **settings: Any
) -> AsyncIterator[Scene]:
    """A monitor that evaluates its rules twenty times a second."""
    clock = clock or FakeClock()
    settings = {"alert_seconds": 0.05, **settings}
    async with running_monitor(folder, clock, **settings) as monitor:
        yield Scene(monitor, clock, alert_service_pb2_grpc.AlertServiceStub(monitor.channel))
