import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Route(_message.Message):
    __slots__ = ("name", "stable_version", "canary", "previous_version", "update_time", "etag", "more_canaries", "sticky_key", "match_rules", "shadow")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STABLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    MORE_CANARIES_FIELD_NUMBER: _ClassVar[int]
    STICKY_KEY_FIELD_NUMBER: _ClassVar[int]
    MATCH_RULES_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    name: str
    stable_version: int
    canary: Canary
    previous_version: int
    update_time: _timestamp_pb2.Timestamp
    etag: str
    more_canaries: _containers.RepeatedCompositeFieldContainer[Canary]
    sticky_key: RequestKey
    match_rules: _containers.RepeatedCompositeFieldContainer[MatchRule]
    shadow: Shadow
    def __init__(self, name: _Optional[str] = ..., stable_version: _Optional[int] = ..., canary: _Optional[_Union[Canary, _Mapping]] = ..., previous_version: _Optional[int] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., more_canaries: _Optional[_Iterable[_Union[Canary, _Mapping]]] = ..., sticky_key: _Optional[_Union[RequestKey, _Mapping]] = ..., match_rules: _Optional[_Iterable[_Union[MatchRule, _Mapping]]] = ..., shadow: _Optional[_Union[Shadow, _Mapping]] = ...) -> None: ...

class Canary(_message.Message):
    __slots__ = ("version", "weight_percent")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_PERCENT_FIELD_NUMBER: _ClassVar[int]
    version: int
    weight_percent: float
    def __init__(self, version: _Optional[int] = ..., weight_percent: _Optional[float] = ...) -> None: ...

class RequestKey(_message.Message):
    __slots__ = ("parameter", "header")
    PARAMETER_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    parameter: str
    header: str
    def __init__(self, parameter: _Optional[str] = ..., header: _Optional[str] = ...) -> None: ...

class MatchRule(_message.Message):
    __slots__ = ("key", "equals", "prefix", "version")
    KEY_FIELD_NUMBER: _ClassVar[int]
    EQUALS_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    key: RequestKey
    equals: str
    prefix: str
    version: int
    def __init__(self, key: _Optional[_Union[RequestKey, _Mapping]] = ..., equals: _Optional[str] = ..., prefix: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class Shadow(_message.Message):
    __slots__ = ("version", "share_percent")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHARE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    version: int
    share_percent: float
    def __init__(self, version: _Optional[int] = ..., share_percent: _Optional[float] = ...) -> None: ...
