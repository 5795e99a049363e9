import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Bins(_message.Message):
    __slots__ = ("kind", "edges", "labels")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Bins.Kind]
        KIND_FLOAT_BITS: _ClassVar[Bins.Kind]
        KIND_EDGES: _ClassVar[Bins.Kind]
        KIND_LABELS: _ClassVar[Bins.Kind]
    KIND_UNSPECIFIED: Bins.Kind
    KIND_FLOAT_BITS: Bins.Kind
    KIND_EDGES: Bins.Kind
    KIND_LABELS: Bins.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    kind: Bins.Kind
    edges: _containers.RepeatedScalarFieldContainer[float]
    labels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, kind: _Optional[_Union[Bins.Kind, str]] = ..., edges: _Optional[_Iterable[float]] = ..., labels: _Optional[_Iterable[str]] = ...) -> None: ...

class FieldLayout(_message.Message):
    __slots__ = ("name", "place", "kind", "tensor", "column", "aspects")
    class Place(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PLACE_UNSPECIFIED: _ClassVar[FieldLayout.Place]
        PLACE_INPUT: _ClassVar[FieldLayout.Place]
        PLACE_OUTPUT: _ClassVar[FieldLayout.Place]
    PLACE_UNSPECIFIED: FieldLayout.Place
    PLACE_INPUT: FieldLayout.Place
    PLACE_OUTPUT: FieldLayout.Place
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[FieldLayout.Kind]
        KIND_NUMBER: _ClassVar[FieldLayout.Kind]
        KIND_CATEGORY: _ClassVar[FieldLayout.Kind]
        KIND_TEXT: _ClassVar[FieldLayout.Kind]
        KIND_TENSOR: _ClassVar[FieldLayout.Kind]
        KIND_CLASS: _ClassVar[FieldLayout.Kind]
        KIND_LENGTH: _ClassVar[FieldLayout.Kind]
    KIND_UNSPECIFIED: FieldLayout.Kind
    KIND_NUMBER: FieldLayout.Kind
    KIND_CATEGORY: FieldLayout.Kind
    KIND_TEXT: FieldLayout.Kind
    KIND_TENSOR: FieldLayout.Kind
    KIND_CLASS: FieldLayout.Kind
    KIND_LENGTH: FieldLayout.Kind
    class AspectsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Bins
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Bins, _Mapping]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    ASPECTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    place: FieldLayout.Place
    kind: FieldLayout.Kind
    tensor: str
    column: int
    aspects: _containers.MessageMap[str, Bins]
    def __init__(self, name: _Optional[str] = ..., place: _Optional[_Union[FieldLayout.Place, str]] = ..., kind: _Optional[_Union[FieldLayout.Kind, str]] = ..., tensor: _Optional[str] = ..., column: _Optional[int] = ..., aspects: _Optional[_Mapping[str, Bins]] = ...) -> None: ...

class Layout(_message.Message):
    __slots__ = ("fields", "reference")
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.RepeatedCompositeFieldContainer[FieldLayout]
    reference: str
    def __init__(self, fields: _Optional[_Iterable[_Union[FieldLayout, _Mapping]]] = ..., reference: _Optional[str] = ...) -> None: ...

class AspectCounts(_message.Message):
    __slots__ = ("field", "aspect", "bins", "counts")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    ASPECT_FIELD_NUMBER: _ClassVar[int]
    BINS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    field: str
    aspect: str
    bins: _containers.RepeatedScalarFieldContainer[int]
    counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, field: _Optional[str] = ..., aspect: _Optional[str] = ..., bins: _Optional[_Iterable[int]] = ..., counts: _Optional[_Iterable[int]] = ...) -> None: ...

class Profile(_message.Message):
    __slots__ = ("reference", "rows", "seen_rows", "counts")
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SEEN_ROWS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    reference: str
    rows: int
    seen_rows: int
    counts: _containers.RepeatedCompositeFieldContainer[AspectCounts]
    def __init__(self, reference: _Optional[str] = ..., rows: _Optional[int] = ..., seen_rows: _Optional[int] = ..., counts: _Optional[_Iterable[_Union[AspectCounts, _Mapping]]] = ...) -> None: ...

class FieldSchema(_message.Message):
    __slots__ = ("lowest", "highest", "categories", "has_categories", "missing_rate", "enforcement")
    class Enforcement(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ENFORCEMENT_UNSPECIFIED: _ClassVar[FieldSchema.Enforcement]
        ENFORCEMENT_COUNT: _ClassVar[FieldSchema.Enforcement]
        ENFORCEMENT_FLAG: _ClassVar[FieldSchema.Enforcement]
        ENFORCEMENT_REJECT: _ClassVar[FieldSchema.Enforcement]
    ENFORCEMENT_UNSPECIFIED: FieldSchema.Enforcement
    ENFORCEMENT_COUNT: FieldSchema.Enforcement
    ENFORCEMENT_FLAG: FieldSchema.Enforcement
    ENFORCEMENT_REJECT: FieldSchema.Enforcement
    LOWEST_FIELD_NUMBER: _ClassVar[int]
    HIGHEST_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    HAS_CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    MISSING_RATE_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    lowest: float
    highest: float
    categories: _containers.RepeatedScalarFieldContainer[str]
    has_categories: bool
    missing_rate: float
    enforcement: FieldSchema.Enforcement
    def __init__(self, lowest: _Optional[float] = ..., highest: _Optional[float] = ..., categories: _Optional[_Iterable[str]] = ..., has_categories: _Optional[bool] = ..., missing_rate: _Optional[float] = ..., enforcement: _Optional[_Union[FieldSchema.Enforcement, str]] = ...) -> None: ...

class Reference(_message.Message):
    __slots__ = ("source", "layout", "profile", "schema", "create_time", "origin")
    class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SOURCE_UNSPECIFIED: _ClassVar[Reference.Source]
        SOURCE_SAMPLES: _ClassVar[Reference.Source]
        SOURCE_TRAFFIC: _ClassVar[Reference.Source]
        SOURCE_VERSION: _ClassVar[Reference.Source]
    SOURCE_UNSPECIFIED: Reference.Source
    SOURCE_SAMPLES: Reference.Source
    SOURCE_TRAFFIC: Reference.Source
    SOURCE_VERSION: Reference.Source
    class SchemaEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: FieldSchema
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[FieldSchema, _Mapping]] = ...) -> None: ...
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    source: Reference.Source
    layout: Layout
    profile: Profile
    schema: _containers.MessageMap[str, FieldSchema]
    create_time: _timestamp_pb2.Timestamp
    origin: str
    def __init__(self, source: _Optional[_Union[Reference.Source, str]] = ..., layout: _Optional[_Union[Layout, _Mapping]] = ..., profile: _Optional[_Union[Profile, _Mapping]] = ..., schema: _Optional[_Mapping[str, FieldSchema]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., origin: _Optional[str] = ...) -> None: ...
