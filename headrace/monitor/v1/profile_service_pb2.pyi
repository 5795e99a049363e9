import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headrace.monitor.v1 import monitor_service_pb2 as _monitor_service_pb2
from headrace.type.v1 import profile_pb2 as _profile_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class QueryProfilesRequest(_message.Message):
    __slots__ = ("model", "version", "slice", "window", "end_time", "step")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SLICE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    slice: str
    window: _duration_pb2.Duration
    end_time: _timestamp_pb2.Timestamp
    step: _duration_pb2.Duration
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., slice: _Optional[str] = ..., window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., step: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class QueryProfilesResponse(_message.Message):
    __slots__ = ("profiles", "slices", "start_time", "end_time", "gaps")
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    SLICES_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    profiles: _containers.RepeatedCompositeFieldContainer[BinnedProfiles]
    slices: _containers.RepeatedScalarFieldContainer[str]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    gaps: _containers.RepeatedCompositeFieldContainer[_monitor_service_pb2.Gap]
    def __init__(self, profiles: _Optional[_Iterable[_Union[BinnedProfiles, _Mapping]]] = ..., slices: _Optional[_Iterable[str]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., gaps: _Optional[_Iterable[_Union[_monitor_service_pb2.Gap, _Mapping]]] = ...) -> None: ...

class BinnedProfiles(_message.Message):
    __slots__ = ("layout", "total", "steps")
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    layout: _profile_pb2.Layout
    total: _profile_pb2.Profile
    steps: _containers.RepeatedCompositeFieldContainer[ProfileStep]
    def __init__(self, layout: _Optional[_Union[_profile_pb2.Layout, _Mapping]] = ..., total: _Optional[_Union[_profile_pb2.Profile, _Mapping]] = ..., steps: _Optional[_Iterable[_Union[ProfileStep, _Mapping]]] = ...) -> None: ...

class ProfileStep(_message.Message):
    __slots__ = ("start_time", "end_time", "profile")
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    profile: _profile_pb2.Profile
    def __init__(self, start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., profile: _Optional[_Union[_profile_pb2.Profile, _Mapping]] = ...) -> None: ...
