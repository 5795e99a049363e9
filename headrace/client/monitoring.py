"""The client's questions to the monitor."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing

from headrace.client import methods, resource_messages
from headrace.client.calls import Calls
from headrace.client.resources import Statistics
from headrace.conversion.times import seconds_to_proto
from headrace.monitor.v1 import monitor_service_pb2


class MonitorCalls:
    """Statistics."""

    _calls: Calls

    async def statistics(
        self,
        window_seconds: float = 60.0,
        model: str = "",
        version: int = 0,
        *,
        by_replica: bool = False,
        parts_by: Collection[str] = (),
        timeout_seconds: float | None = None,
    ) -> Statistics:
        """Return the statistics of the last `window_seconds`. Raises InvalidArgument if it is too long.

        With `parts_by`, of "reason", "route", "slice" and "caller", also those of parts of the requests.
        """
        query = _query(window_seconds, model, version, by_replica=by_replica, parts_by=parts_by)
        found = await self._calls.unary(
            "monitor", methods.QUERY_STATISTICS, query, timeout_seconds=timeout_seconds
        )
        return resource_messages.statistics_from_proto(found)

    async def watch_statistics(
        self,
        window_seconds: float = 60.0,
        model: str = "",
        version: int = 0,
        *,
        by_replica: bool = False,
        parts_by: Collection[str] = (),
        interval_seconds: float = 1.0,
    ) -> AsyncGenerator[Statistics, None]:
        """The same, again and again, until the reader stops; a watch that breaks is opened again."""
        request = monitor_service_pb2.WatchStatisticsRequest(
            query=_query(window_seconds, model, version, by_replica=by_replica, parts_by=parts_by),
            interval=seconds_to_proto(interval_seconds),
        )
        watched = self._calls.watch("monitor", methods.WATCH_STATISTICS, request)
        async with aclosing(watched) as messages:
            async for message in messages:
                yield resource_messages.statistics_from_proto(message)


def _query(
    window_seconds: float, model: str, version: int, *, by_replica: bool, parts_by: Collection[str]
) -> monitor_service_pb2.QueryStatisticsRequest:
    return monitor_service_pb2.QueryStatisticsRequest(
        model=model,
        version=version,
        window=seconds_to_proto(window_seconds),
        by_replica=by_replica,
        parts_by=parts_by,
    )
