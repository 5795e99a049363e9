"""What several replicas tell, put together: counts added up, and a version ready that all have ready."""

from __future__ import annotations

from headrace.inference import grpc_service_pb2 as pb
from headrace_inference.wire.codec.statistics_sums import summed_statistics
from headrace_inference.wire.shared_control import least_ready


def told(version: str, last: int, successes: int, batches: dict[int, int]) -> pb.ModelStatistics:
    """The statistics of a version; each request took 10 ns, each batch 5."""
    statistics = pb.ModelStatistics(
        name="m",
        version=version,
        last_inference=last,
        inference_count=2 * successes,
        execution_count=sum(batches.values()),
    )
    statistics.inference_stats.success.count = successes
    statistics.inference_stats.success.ns = 10 * successes
    for rows, count in batches.items():
        batch = statistics.batch_stats.add(batch_size=rows)
        batch.compute_infer.count, batch.compute_infer.ns = count, 5 * count
    return statistics


def answer(*statistics: pb.ModelStatistics) -> pb.ModelStatisticsResponse:
    """What a replica answers."""
    return pb.ModelStatisticsResponse(model_stats=statistics)


def test_counts_and_times_are_added_by_version_and_batch() -> None:
    """A version that only one replica called is as that one told it."""
    total = summed_statistics(
        [
            answer(told("1", 7, 3, {1: 2, 8: 1}), told("2", 1, 1, {1: 1})),
            answer(told("1", 5, 4, {4: 1, 8: 3})),
            answer(),
        ]
    )
    assert answer(told("1", 7, 7, {1: 2, 4: 1, 8: 4}), told("2", 1, 1, {1: 1})) == total


def index(**states: str) -> pb.RepositoryIndexResponse:
    """The index of models in these states."""
    response = pb.RepositoryIndexResponse()
    for name, state in states.items():
        response.models.add(name=name, version="1", state=state)
    return response


def test_a_version_is_as_it_is_where_it_is_not_ready() -> None:
    """What another replica does not list is left out: it was asked for the same."""
    own = index(both="READY", there="READY", here="LOADING", gone="READY")
    other = index(both="READY", there="UNAVAILABLE", here="READY")
    assert index(both="READY", there="UNAVAILABLE", here="LOADING") == least_ready(own, [other])
    assert own == least_ready(own, [])
