from headrace.monitor.v1 import monitor_service_pb2 as _monitor_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class QueryTalliesRequest(_message.Message):
    __slots__ = ("model", "version", "by_replica", "stretches")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BY_REPLICA_FIELD_NUMBER: _ClassVar[int]
    STRETCHES_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    by_replica: bool
    stretches: _containers.RepeatedCompositeFieldContainer[TallyStretch]
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., by_replica: _Optional[bool] = ..., stretches: _Optional[_Iterable[_Union[TallyStretch, _Mapping]]] = ...) -> None: ...

class TallyStretch(_message.Message):
    __slots__ = ("resolution", "first", "last", "start_ns", "end_ns")
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    START_NS_FIELD_NUMBER: _ClassVar[int]
    END_NS_FIELD_NUMBER: _ClassVar[int]
    resolution: int
    first: int
    last: int
    start_ns: int
    end_ns: int
    def __init__(self, resolution: _Optional[int] = ..., first: _Optional[int] = ..., last: _Optional[int] = ..., start_ns: _Optional[int] = ..., end_ns: _Optional[int] = ...) -> None: ...

class QueryTalliesResponse(_message.Message):
    __slots__ = ("stretches",)
    STRETCHES_FIELD_NUMBER: _ClassVar[int]
    stretches: _containers.RepeatedCompositeFieldContainer[StretchTallies]
    def __init__(self, stretches: _Optional[_Iterable[_Union[StretchTallies, _Mapping]]] = ...) -> None: ...

class StretchTallies(_message.Message):
    __slots__ = ("tallies", "frame")
    TALLIES_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    tallies: _containers.RepeatedCompositeFieldContainer[EncodedTally]
    frame: _monitor_service_pb2.QueryStatisticsResponse
    def __init__(self, tallies: _Optional[_Iterable[_Union[EncodedTally, _Mapping]]] = ..., frame: _Optional[_Union[_monitor_service_pb2.QueryStatisticsResponse, _Mapping]] = ...) -> None: ...

class EncodedTally(_message.Message):
    __slots__ = ("model", "version", "replica", "tally", "seconds")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    TALLY_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    replica: str
    tally: bytes
    seconds: float
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., replica: _Optional[str] = ..., tally: _Optional[bytes] = ..., seconds: _Optional[float] = ...) -> None: ...
