"""Turns traces of every request on and off again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import grpc

from headrace.addresses import NO_PROXY
from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import grpc_service_pb2_grpc as pb_grpc


@contextlib.contextmanager
def traced(address: str) -> Iterator[None]:
    """Have the timestamps of every request traced until this is left."""
    _set(address, {"trace_level": ["TIMESTAMPS"], "trace_rate": ["1"], "trace_count": ["-1"]})
    try:
        yield
    finally:
        _set(address, {"trace_level": ["OFF"]})


def _set(address: str, values: Mapping[str, Sequence[str]]) -> None:
    request = pb.TraceSettingRequest()
    for key, value in values.items():
        request.settings[key].value.extend(value)
    with grpc.insecure_channel(address, options=[NO_PROXY]) as channel:
        pb_grpc.GRPCInferenceServiceStub(channel).TraceSetting(request)
