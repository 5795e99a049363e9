from google.protobuf import empty_pb2 as _empty_pb2
from headrace.registry.v1 import reference_pb2 as _reference_pb2
from headrace.type.v1 import profile_pb2 as _profile_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SetReferenceRequest(_message.Message):
    __slots__ = ("parent", "reference", "from_version", "etag")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    FROM_VERSION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    parent: str
    reference: _profile_pb2.Reference
    from_version: int
    etag: str
    def __init__(self, parent: _Optional[str] = ..., reference: _Optional[_Union[_profile_pb2.Reference, _Mapping]] = ..., from_version: _Optional[int] = ..., etag: _Optional[str] = ...) -> None: ...

class GetReferenceRequest(_message.Message):
    __slots__ = ("name", "without_content")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_CONTENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    without_content: bool
    def __init__(self, name: _Optional[str] = ..., without_content: _Optional[bool] = ...) -> None: ...

class DeleteReferenceRequest(_message.Message):
    __slots__ = ("name", "etag")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class UpdateEnforcementRequest(_message.Message):
    __slots__ = ("name", "fields", "etag")
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _profile_pb2.FieldSchema.Enforcement
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_profile_pb2.FieldSchema.Enforcement, str]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    fields: _containers.ScalarMap[str, _profile_pb2.FieldSchema.Enforcement]
    etag: str
    def __init__(self, name: _Optional[str] = ..., fields: _Optional[_Mapping[str, _profile_pb2.FieldSchema.Enforcement]] = ..., etag: _Optional[str] = ...) -> None: ...
