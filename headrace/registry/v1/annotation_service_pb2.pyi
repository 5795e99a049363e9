from headrace.registry.v1 import annotation_pb2 as _annotation_pb2
from headrace.registry.v1 import version_pb2 as _version_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetAnnotationsRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class UpdateAnnotationsRequest(_message.Message):
    __slots__ = ("name", "set_tags", "remove_tags", "description", "set_metrics", "remove_metrics", "lineage", "etag")
    class SetTagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    SET_TAGS_FIELD_NUMBER: _ClassVar[int]
    REMOVE_TAGS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SET_METRICS_FIELD_NUMBER: _ClassVar[int]
    REMOVE_METRICS_FIELD_NUMBER: _ClassVar[int]
    LINEAGE_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    set_tags: _containers.ScalarMap[str, str]
    remove_tags: _containers.RepeatedScalarFieldContainer[str]
    description: str
    set_metrics: _containers.RepeatedCompositeFieldContainer[_annotation_pb2.Metric]
    remove_metrics: _containers.RepeatedScalarFieldContainer[str]
    lineage: _annotation_pb2.Lineage
    etag: str
    def __init__(self, name: _Optional[str] = ..., set_tags: _Optional[_Mapping[str, str]] = ..., remove_tags: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ..., set_metrics: _Optional[_Iterable[_Union[_annotation_pb2.Metric, _Mapping]]] = ..., remove_metrics: _Optional[_Iterable[str]] = ..., lineage: _Optional[_Union[_annotation_pb2.Lineage, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class PutAttachmentRequest(_message.Message):
    __slots__ = ("header", "chunk")
    class Header(_message.Message):
        __slots__ = ("name", "attachment", "size_bytes", "sha256", "etag")
        NAME_FIELD_NUMBER: _ClassVar[int]
        ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
        SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
        SHA256_FIELD_NUMBER: _ClassVar[int]
        ETAG_FIELD_NUMBER: _ClassVar[int]
        name: str
        attachment: _annotation_pb2.Attachment
        size_bytes: int
        sha256: str
        etag: str
        def __init__(self, name: _Optional[str] = ..., attachment: _Optional[_Union[_annotation_pb2.Attachment, _Mapping]] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    header: PutAttachmentRequest.Header
    chunk: bytes
    def __init__(self, header: _Optional[_Union[PutAttachmentRequest.Header, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class DeleteAttachmentRequest(_message.Message):
    __slots__ = ("name", "path", "etag")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    path: str
    etag: str
    def __init__(self, name: _Optional[str] = ..., path: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class SearchVersionsRequest(_message.Message):
    __slots__ = ("parent", "filter", "order_by", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    filter: str
    order_by: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class SearchVersionsResponse(_message.Message):
    __slots__ = ("found", "next_page_token")
    class Found(_message.Message):
        __slots__ = ("version", "annotations", "aliases")
        VERSION_FIELD_NUMBER: _ClassVar[int]
        ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
        ALIASES_FIELD_NUMBER: _ClassVar[int]
        version: _version_pb2.Version
        annotations: _annotation_pb2.VersionAnnotations
        aliases: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, version: _Optional[_Union[_version_pb2.Version, _Mapping]] = ..., annotations: _Optional[_Union[_annotation_pb2.VersionAnnotations, _Mapping]] = ..., aliases: _Optional[_Iterable[str]] = ...) -> None: ...
    FOUND_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    found: _containers.RepeatedCompositeFieldContainer[SearchVersionsResponse.Found]
    next_page_token: str
    def __init__(self, found: _Optional[_Iterable[_Union[SearchVersionsResponse.Found, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
