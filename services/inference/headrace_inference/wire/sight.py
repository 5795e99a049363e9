"""Leaves out of lists the models that the present caller may not read."""

from __future__ import annotations

from collections.abc import Callable

from headrace.inference import grpc_service_pb2 as pb
from headrace.security.access import Access
from headrace.security.callers import current_caller
from headrace.security.verbs import Verb

IsSeen = Callable[[str], bool]
"""Whether a model may be read."""


def models_seen(access: Access) -> IsSeen | None:
    """Return what tells the models that the present caller may read; None where he may read all."""
    identity = current_caller().identity
    if access.may(identity, Verb.READ, ""):
        return None
    return access.models_for(identity)


def seen_index(access: Access, index: pb.RepositoryIndexResponse) -> pb.RepositoryIndexResponse:
    """The list without versions of models that he may not read."""
    is_seen = models_seen(access)
    if is_seen is None:
        return index
    return pb.RepositoryIndexResponse(models=[one for one in index.models if is_seen(one.name)])


def seen_statistics(
    access: Access, statistics: pb.ModelStatisticsResponse
) -> pb.ModelStatisticsResponse:
    """The statistics without those of models that he may not read."""
    is_seen = models_seen(access)
    if is_seen is None:
        return statistics
    shown = [one for one in statistics.model_stats if is_seen(one.name)]
    return pb.ModelStatisticsResponse(model_stats=shown)
