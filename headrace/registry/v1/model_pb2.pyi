import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headrace.type.v1 import language_pb2 as _language_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Model(_message.Message):
    __slots__ = ("name", "description", "labels", "keep_latest", "create_time", "last_version", "etag", "pinned", "protected", "kind", "gate")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    KEEP_LATEST_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_VERSION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    PROTECTED_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    GATE_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    labels: _containers.ScalarMap[str, str]
    keep_latest: int
    create_time: _timestamp_pb2.Timestamp
    last_version: int
    etag: str
    pinned: bool
    protected: bool
    kind: _language_pb2.VersionKind
    gate: Gate
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., keep_latest: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_version: _Optional[int] = ..., etag: _Optional[str] = ..., pinned: _Optional[bool] = ..., protected: _Optional[bool] = ..., kind: _Optional[_Union[_language_pb2.VersionKind, str]] = ..., gate: _Optional[_Union[Gate, _Mapping]] = ...) -> None: ...

class Gate(_message.Message):
    __slots__ = ("require", "no_worse_than", "data_digest", "aliases")
    class Comparison(_message.Message):
        __slots__ = ("metric", "than", "margin", "smaller_is_better")
        METRIC_FIELD_NUMBER: _ClassVar[int]
        THAN_FIELD_NUMBER: _ClassVar[int]
        MARGIN_FIELD_NUMBER: _ClassVar[int]
        SMALLER_IS_BETTER_FIELD_NUMBER: _ClassVar[int]
        metric: str
        than: str
        margin: float
        smaller_is_better: bool
        def __init__(self, metric: _Optional[str] = ..., than: _Optional[str] = ..., margin: _Optional[float] = ..., smaller_is_better: _Optional[bool] = ...) -> None: ...
    REQUIRE_FIELD_NUMBER: _ClassVar[int]
    NO_WORSE_THAN_FIELD_NUMBER: _ClassVar[int]
    DATA_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    require: _containers.RepeatedScalarFieldContainer[str]
    no_worse_than: _containers.RepeatedCompositeFieldContainer[Gate.Comparison]
    data_digest: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, require: _Optional[_Iterable[str]] = ..., no_worse_than: _Optional[_Iterable[_Union[Gate.Comparison, _Mapping]]] = ..., data_digest: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ...) -> None: ...
