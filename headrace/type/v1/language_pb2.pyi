from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VersionKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERSION_KIND_UNSPECIFIED: _ClassVar[VersionKind]
    VERSION_KIND_TENSORS: _ClassVar[VersionKind]
    VERSION_KIND_GENERATION: _ClassVar[VersionKind]
    VERSION_KIND_EMBEDDING: _ClassVar[VersionKind]
    VERSION_KIND_RERANK: _ClassVar[VersionKind]

class Pooling(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POOLING_UNSPECIFIED: _ClassVar[Pooling]
    POOLING_MEAN: _ClassVar[Pooling]
    POOLING_CLS: _ClassVar[Pooling]
    POOLING_MAX: _ClassVar[Pooling]
    POOLING_LAST: _ClassVar[Pooling]
    POOLING_NONE: _ClassVar[Pooling]
VERSION_KIND_UNSPECIFIED: VersionKind
VERSION_KIND_TENSORS: VersionKind
VERSION_KIND_GENERATION: VersionKind
VERSION_KIND_EMBEDDING: VersionKind
VERSION_KIND_RERANK: VersionKind
POOLING_UNSPECIFIED: Pooling
POOLING_MEAN: Pooling
POOLING_CLS: Pooling
POOLING_MAX: Pooling
POOLING_LAST: Pooling
POOLING_NONE: Pooling

class LanguageModel(_message.Message):
    __slots__ = ("architecture", "context_length", "vocabulary_size", "tokenizer_digest", "kv_bytes_per_token", "chat_template_digest", "capabilities", "weights", "embedding_size", "pooling", "normalized")
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_LENGTH_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_SIZE_FIELD_NUMBER: _ClassVar[int]
    TOKENIZER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    KV_BYTES_PER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CHAT_TEMPLATE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_SIZE_FIELD_NUMBER: _ClassVar[int]
    POOLING_FIELD_NUMBER: _ClassVar[int]
    NORMALIZED_FIELD_NUMBER: _ClassVar[int]
    architecture: str
    context_length: int
    vocabulary_size: int
    tokenizer_digest: str
    kv_bytes_per_token: int
    chat_template_digest: str
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    weights: str
    embedding_size: int
    pooling: Pooling
    normalized: bool
    def __init__(self, architecture: _Optional[str] = ..., context_length: _Optional[int] = ..., vocabulary_size: _Optional[int] = ..., tokenizer_digest: _Optional[str] = ..., kv_bytes_per_token: _Optional[int] = ..., chat_template_digest: _Optional[str] = ..., capabilities: _Optional[_Iterable[str]] = ..., weights: _Optional[str] = ..., embedding_size: _Optional[int] = ..., pooling: _Optional[_Union[Pooling, str]] = ..., normalized: _Optional[bool] = ...) -> None: ...
