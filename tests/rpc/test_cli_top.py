"""`headrace top` as a process, against scripted monitors: its table, its JSON, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from headrace import errors
from headrace.monitor.v1 import monitor_service_pb2, monitor_service_pb2_grpc
from tests.rpc.client_fixtures import open_services
from tests.rpc.test_cli_commands import Shell


class Monitor(monitor_service_pb2_grpc.MonitorServiceServicer):
    """Says the same again and again, or refuses."""

    def _statistics(self) -> monitor_service_pb2.QueryStatisticsResponse:
        response = monitor_service_pb2.QueryStatisticsResponse()
        response.end_time.FromSeconds(60)
        found = response.statistics.add(model="digits", version=2, success_count=9, error_count=1)
        found.requests_per_second = 2.5
        found.batch_counts[4] = 1
        found.batch_counts[2] = 1
        found.measures.add(name="row_capacity", count=8)
        found.total.p99.FromMicroseconds(1500)
        return response

    async def QueryStatistics(
        self, request: Any, context: Any
    ) -> monitor_service_pb2.QueryStatisticsResponse:
        if request.model:
            raise errors.InvalidArgument(
                "QUERY_INVALID", "no", violations=(errors.FieldViolation("model", "unknown"),)
            )
        return self._statistics()

    async def WatchStatistics(
        self, request: Any, context: Any
    ) -> AsyncIterator[monitor_service_pb2.QueryStatisticsResponse]:
        """As fast as the reader reads."""
        while True:
            yield self._statistics()


async def test_top_once_is_a_table() -> None:
    """Each version has a line with rate, errors, latency, mean batch and fill."""
    async with open_services(Monitor()) as port:
        shown = await Shell(("--monitor", f"127.0.0.1:{port}"))("top", "--once")

    title, _, line = shown.output.splitlines()
    assert title.strip() == "0 replicas reported in the last 60 s"
    assert line.split() == [
        "digits",
        "2",
        "2.5",
        "1",
        "0",
        "0",
        "µs",
        "1.5",
        "ms",
        "0",
        "µs",
        "3.0",
        "75%",
    ]


async def test_top_refused_names_the_fields() -> None:
    """Violations are lines under the error."""
    async with open_services(Monitor()) as port:
        shown = await Shell(("--monitor", f"127.0.0.1:{port}"))("top", "x", "--once")

    assert shown.status == 1
    assert "  model: unknown" in shown.error.splitlines()


async def test_top_as_json_is_a_line_each_until_nobody_reads() -> None:
    """A reader that goes away ends the command quietly and well."""
    async with open_services(Monitor()) as port:
        process = await Shell(("--monitor", f"127.0.0.1:{port}")).start("top", "--json")
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [json.loads(await process.stdout.readline()) for _ in range(3)]
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]  # `| head`
        status = await asyncio.wait_for(process.wait(), 30)
        error = await process.stderr.read()

    assert [2.5] * 3 == [line["versions"][0]["requests_per_second"] for line in lines]
    assert (status, error) == (0, b"")


async def test_an_interrupt_is_status_130_and_quiet() -> None:
    """Ctrl-C ends a command that goes on, without a traceback."""
    async with open_services(Monitor()) as port:
        with interrupts_heard():
            process = await Shell(("--monitor", f"127.0.0.1:{port}")).start("top", "--json")
        assert process.stdout is not None
        await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, error = await asyncio.wait_for(process.communicate(), 30)

    assert (process.returncode, error) == (130, b"")


@contextmanager
def interrupts_heard() -> Iterator[None]:
    """Processes started inside hear Ctrl-C, also where these tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
