"""Makes references of what the monitor says that data looked like."""

from __future__ import annotations

from headrace.client.samples import invalid
from headrace.conversion.data_profiles import (
    layout_from_proto,
    profile_from_proto,
    reference_to_proto,
)
from headrace.conversion.times import timestamp_from_proto
from headrace.data_profiles.learning_traffic import reference_of_traffic
from headrace.monitor.v1.profile_service_pb2 import QueryProfilesResponse
from headrace.type.v1 import profile_pb2


def reference_of_answer(answer: QueryProfilesResponse, now: float) -> profile_pb2.Reference:
    """The reference of the newest profiles in an answer. Raises InvalidArgument (SAMPLES_INVALID)."""
    found = next((each for each in answer.profiles if each.total.rows), None)
    if found is None:
        raise invalid("the monitor counted no rows of this version in this time")
    layout = layout_from_proto(found.layout)
    profile = profile_from_proto(found.total, layout)
    hours = (timestamp_from_proto(answer.end_time) - timestamp_from_proto(answer.start_time)) / 3600
    origin = f"traffic of {max(hours, 0):.1f} hours"
    return reference_to_proto(reference_of_traffic(layout, profile, origin=origin, created_at=now))
