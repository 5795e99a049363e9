import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VersionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERSION_STATE_UNSPECIFIED: _ClassVar[VersionState]
    VERSION_STATE_LOADING: _ClassVar[VersionState]
    VERSION_STATE_READY: _ClassVar[VersionState]
    VERSION_STATE_UNLOADING: _ClassVar[VersionState]
    VERSION_STATE_UNAVAILABLE: _ClassVar[VersionState]

class ReplicaStage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLICA_STAGE_UNSPECIFIED: _ClassVar[ReplicaStage]
    REPLICA_STAGE_JOINING: _ClassVar[ReplicaStage]
    REPLICA_STAGE_READY: _ClassVar[ReplicaStage]
    REPLICA_STAGE_LEAVING: _ClassVar[ReplicaStage]
VERSION_STATE_UNSPECIFIED: VersionState
VERSION_STATE_LOADING: VersionState
VERSION_STATE_READY: VersionState
VERSION_STATE_UNLOADING: VersionState
VERSION_STATE_UNAVAILABLE: VersionState
REPLICA_STAGE_UNSPECIFIED: ReplicaStage
REPLICA_STAGE_JOINING: ReplicaStage
REPLICA_STAGE_READY: ReplicaStage
REPLICA_STAGE_LEAVING: ReplicaStage

class Replica(_message.Message):
    __slots__ = ("name", "grpc_address", "http_address", "metrics_address", "pid", "start_time", "applied_revision", "labels", "devices", "versions", "stage", "loads_on_request", "problem")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    GRPC_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    HTTP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    METRICS_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    APPLIED_REVISION_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    LOADS_ON_REQUEST_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    name: str
    grpc_address: str
    http_address: str
    metrics_address: str
    pid: int
    start_time: _timestamp_pb2.Timestamp
    applied_revision: int
    labels: _containers.ScalarMap[str, str]
    devices: _containers.RepeatedScalarFieldContainer[str]
    versions: _containers.RepeatedCompositeFieldContainer[ReplicaVersion]
    stage: ReplicaStage
    loads_on_request: bool
    problem: str
    def __init__(self, name: _Optional[str] = ..., grpc_address: _Optional[str] = ..., http_address: _Optional[str] = ..., metrics_address: _Optional[str] = ..., pid: _Optional[int] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., applied_revision: _Optional[int] = ..., labels: _Optional[_Mapping[str, str]] = ..., devices: _Optional[_Iterable[str]] = ..., versions: _Optional[_Iterable[_Union[ReplicaVersion, _Mapping]]] = ..., stage: _Optional[_Union[ReplicaStage, str]] = ..., loads_on_request: _Optional[bool] = ..., problem: _Optional[str] = ...) -> None: ...

class ReplicaVersion(_message.Message):
    __slots__ = ("version", "state", "reason", "memory_bytes", "provider")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    version: str
    state: VersionState
    reason: str
    memory_bytes: int
    provider: str
    def __init__(self, version: _Optional[str] = ..., state: _Optional[_Union[VersionState, str]] = ..., reason: _Optional[str] = ..., memory_bytes: _Optional[int] = ..., provider: _Optional[str] = ...) -> None: ...
