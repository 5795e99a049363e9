import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headrace.type.v1 import language_pb2 as _language_pb2
from headrace.type.v1 import serving_config_pb2 as _serving_config_pb2
from headrace.type.v1 import signature_pb2 as _signature_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Version(_message.Message):
    __slots__ = ("name", "number", "digest", "files", "graph_path", "signature", "serving_config", "description", "create_time", "etag", "notices", "signature_bundle", "kind", "language")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    GRAPH_PATH_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    SERVING_CONFIG_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    number: int
    digest: str
    files: _containers.RepeatedCompositeFieldContainer[ArtifactFile]
    graph_path: str
    signature: _signature_pb2.Signature
    serving_config: _serving_config_pb2.ServingConfig
    description: str
    create_time: _timestamp_pb2.Timestamp
    etag: str
    notices: _containers.RepeatedScalarFieldContainer[str]
    signature_bundle: str
    kind: _language_pb2.VersionKind
    language: _language_pb2.LanguageModel
    def __init__(self, name: _Optional[str] = ..., number: _Optional[int] = ..., digest: _Optional[str] = ..., files: _Optional[_Iterable[_Union[ArtifactFile, _Mapping]]] = ..., graph_path: _Optional[str] = ..., signature: _Optional[_Union[_signature_pb2.Signature, _Mapping]] = ..., serving_config: _Optional[_Union[_serving_config_pb2.ServingConfig, _Mapping]] = ..., description: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., notices: _Optional[_Iterable[str]] = ..., signature_bundle: _Optional[str] = ..., kind: _Optional[_Union[_language_pb2.VersionKind, str]] = ..., language: _Optional[_Union[_language_pb2.LanguageModel, _Mapping]] = ...) -> None: ...

class ArtifactFile(_message.Message):
    __slots__ = ("path", "size_bytes", "sha256")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    path: str
    size_bytes: int
    sha256: str
    def __init__(self, path: _Optional[str] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ...) -> None: ...
