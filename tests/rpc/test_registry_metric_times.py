"""Times of metrics over a socket: none keeps others from reading, and none is the newest for ever."""

from __future__ import annotations

import time
from pathlib import Path

from headrace.registry.v1 import annotation_pb2
from headrace.registry.v1 import annotation_service_pb2 as pb
from tests.rpc.registry_fixtures import error_of, onnx_file, push, running_registry
from tests.rpc.test_registry_annotations import NAME, service, update

NO_TIMES = ((2**62, 0), (-(2**62), 0), (253_402_300_800, 0), (0, -5), (0, 2**31 - 1))
LATE = ((253_402_300_799, 999_999_999), (int(time.time()) + 90_000, 0))


def metric(seconds: int, nanos: int) -> annotation_pb2.Metric:
    """A metric that was measured then."""
    made = annotation_pb2.Metric(name="a", value=1)
    made.measure_time.seconds, made.measure_time.nanos = seconds, nanos
    return made


async def test_times_that_cannot_be_are_refused(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What is no time is no failure of the registry; later than now is refused; all can still be read."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
        no_times = [
            (await error_of(update(running, set_metrics=[metric(*each)]))).reason
            for each in NO_TIMES
        ]
        late = [
            (await error_of(update(running, set_metrics=[metric(*each)]))).reason for each in LATE
        ]
        await update(running, set_metrics=[metric(1, 5_000_000)])
        found = await service(running).GetAnnotations(pb.GetAnnotationsRequest(name=NAME))
        searched = await service(running).SearchVersions(pb.SearchVersionsRequest())
    assert ["TIME_INVALID"] * len(NO_TIMES) == no_times
    assert ["ANNOTATIONS_INVALID"] * len(LATE) == late
    assert [1] == [each.measure_time.seconds for each in found.metrics]
    assert 1 == len(searched.found)
