"""Adds up the statistics that several replicas tell of the same versions."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import Message

from headrace.inference import grpc_service_pb2 as pb


def summed_statistics(
    parts: Iterable[pb.ModelStatisticsResponse],
) -> pb.ModelStatisticsResponse:
    """Every version once, with the sums of its counts and times, and its latest inference."""
    found: dict[tuple[str, str], pb.ModelStatistics] = {}
    for part in parts:
        for told in part.model_stats:
            key = (told.name, told.version)
            if key in found:
                _add(found[key], told)
            else:
                found[key] = told
    return pb.ModelStatisticsResponse(model_stats=found.values())


def _add(total: pb.ModelStatistics, more: pb.ModelStatistics) -> None:
    total.last_inference = max(total.last_inference, more.last_inference)
    total.inference_count += more.inference_count
    total.execution_count += more.execution_count
    _add_fields(total.inference_stats, more.inference_stats)
    batches = {batch.batch_size: batch for batch in total.batch_stats}
    for batch in more.batch_stats:
        if batch.batch_size in batches:
            _add_fields(batches[batch.batch_size], batch, but="batch_size")
        else:
            total.batch_stats.append(batch)
    total.batch_stats.sort(key=lambda batch: batch.batch_size)
    for index, responses in more.response_stats.items():
        _add_fields(total.response_stats[index], responses)


def _add_fields(total: Message, more: Message, but: str = "") -> None:
    """Add numbers to numbers, however deep they lie."""
    for field, value in more.ListFields():
        if field.name == but:
            continue
        if field.message_type is not None:
            _add_fields(getattr(total, field.name), value)
        else:
            setattr(total, field.name, getattr(total, field.name) + value)
