import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headrace.type.v1 import profile_pb2 as _profile_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VersionReference(_message.Message):
    __slots__ = ("name", "reference", "digest", "size_bytes", "rows", "fields", "enforcement", "update_time", "etag")
    class EnforcementEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _profile_pb2.FieldSchema.Enforcement
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_profile_pb2.FieldSchema.Enforcement, str]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    reference: _profile_pb2.Reference
    digest: str
    size_bytes: int
    rows: int
    fields: int
    enforcement: _containers.ScalarMap[str, _profile_pb2.FieldSchema.Enforcement]
    update_time: _timestamp_pb2.Timestamp
    etag: str
    def __init__(self, name: _Optional[str] = ..., reference: _Optional[_Union[_profile_pb2.Reference, _Mapping]] = ..., digest: _Optional[str] = ..., size_bytes: _Optional[int] = ..., rows: _Optional[int] = ..., fields: _Optional[int] = ..., enforcement: _Optional[_Mapping[str, _profile_pb2.FieldSchema.Enforcement]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...
