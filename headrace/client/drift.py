"""The client's questions about drift."""

from __future__ import annotations

from headrace.client import drift_messages, methods
from headrace.client.calls import Calls
from headrace.client.drift_resources import Drift
from headrace.client.profile_resources import DataProfiles
from headrace.conversion.times import seconds_to_proto, timestamp_to_proto
from headrace.monitor.v1 import drift_service_pb2, profile_service_pb2


class DriftCalls:
    """Whether data are as they were."""

    _calls: Calls

    async def drift(
        self,
        model: str,
        version: int = 0,
        *,
        slice_name: str = "",
        field: str = "",
        distributions: bool = False,
        stretch_seconds: float = 3600.0,
        timeout_seconds: float | None = None,
    ) -> Drift:
        """Return how the fields of a model's versions stand beside their references.

        Effects are those of the newest rows: of 5 minutes (300), an hour or a day (86400). Raises
        InvalidArgument for another stretch.
        """
        request = drift_service_pb2.QueryDriftRequest(
            model=model,
            version=version,
            slice=slice_name,
            field=field,
            with_distributions=distributions,
            stretch=seconds_to_proto(stretch_seconds),
        )
        found = await self._calls.unary(
            "monitor", methods.QUERY_DRIFT, request, timeout_seconds=timeout_seconds
        )
        return drift_messages.drift_from_proto(found)

    async def profiles(
        self,
        model: str,
        version: int,
        *,
        slice_name: str = "",
        window_seconds: float = 3600.0,
        end_at: float = 0.0,
        step_seconds: float = 0.0,
        timeout_seconds: float | None = None,
    ) -> DataProfiles:
        """Return what the rows of a version, or of one slice of it, looked like.

        Of the window before `end_at` (seconds since the epoch; 0: now), in one sum and, with a step of a
        minute at least, in steps. Raises InvalidArgument for a window that is not kept.
        """
        request = profile_service_pb2.QueryProfilesRequest(
            model=model,
            version=version,
            slice=slice_name,
            window=seconds_to_proto(window_seconds),
            end_time=timestamp_to_proto(end_at) if end_at else None,
            step=seconds_to_proto(step_seconds) if step_seconds else None,
        )
        found = await self._calls.unary(
            "monitor", methods.QUERY_PROFILES, request, timeout_seconds=timeout_seconds
        )
        from headrace.client.profile_messages import profiles_from_proto  # it loads numpy

        return profiles_from_proto(found)

    async def reset_baseline(
        self,
        model: str,
        version: int,
        *,
        slice_name: str | None = None,
        timeout_seconds: float | None = None,
    ) -> int:
        """Have what rows are compared with learnt anew, from the next ones; return of how many slices.

        All of them and all rows, or the one that is named. Once it was done, doing it again does no harm.
        """
        request = drift_service_pb2.ResetBaselineRequest(
            model=model, version=version, slice=slice_name
        )
        answer = await self._calls.unary(
            "monitor", methods.RESET_BASELINE, request, timeout_seconds=timeout_seconds
        )
        return answer.reset_count
