import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class QueryDriftRequest(_message.Message):
    __slots__ = ("model", "version", "slice", "field", "with_distributions", "stretch")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SLICE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    WITH_DISTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    STRETCH_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    slice: str
    field: str
    with_distributions: bool
    stretch: _duration_pb2.Duration
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., slice: _Optional[str] = ..., field: _Optional[str] = ..., with_distributions: _Optional[bool] = ..., stretch: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class QueryDriftResponse(_message.Message):
    __slots__ = ("versions", "alpha", "margin")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[VersionDrift]
    alpha: float
    margin: float
    def __init__(self, versions: _Optional[_Iterable[_Union[VersionDrift, _Mapping]]] = ..., alpha: _Optional[float] = ..., margin: _Optional[float] = ...) -> None: ...

class VersionDrift(_message.Message):
    __slots__ = ("model", "version", "slice", "source", "origin", "compared_rows", "learnt_rows", "fields", "slices", "causes", "closed", "untested", "left_out_fields")
    class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SOURCE_UNSPECIFIED: _ClassVar[VersionDrift.Source]
        SOURCE_REGISTERED: _ClassVar[VersionDrift.Source]
        SOURCE_FIRST_ROWS: _ClassVar[VersionDrift.Source]
        SOURCE_OTHER_VERSION: _ClassVar[VersionDrift.Source]
    SOURCE_UNSPECIFIED: VersionDrift.Source
    SOURCE_REGISTERED: VersionDrift.Source
    SOURCE_FIRST_ROWS: VersionDrift.Source
    SOURCE_OTHER_VERSION: VersionDrift.Source
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SLICE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    COMPARED_ROWS_FIELD_NUMBER: _ClassVar[int]
    LEARNT_ROWS_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    SLICES_FIELD_NUMBER: _ClassVar[int]
    CAUSES_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    UNTESTED_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELDS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    slice: str
    source: VersionDrift.Source
    origin: str
    compared_rows: int
    learnt_rows: int
    fields: _containers.RepeatedCompositeFieldContainer[FieldDrift]
    slices: _containers.RepeatedScalarFieldContainer[str]
    causes: _containers.RepeatedCompositeFieldContainer[SliceCause]
    closed: _containers.RepeatedCompositeFieldContainer[DriftFinding]
    untested: bool
    left_out_fields: int
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., slice: _Optional[str] = ..., source: _Optional[_Union[VersionDrift.Source, str]] = ..., origin: _Optional[str] = ..., compared_rows: _Optional[int] = ..., learnt_rows: _Optional[int] = ..., fields: _Optional[_Iterable[_Union[FieldDrift, _Mapping]]] = ..., slices: _Optional[_Iterable[str]] = ..., causes: _Optional[_Iterable[_Union[SliceCause, _Mapping]]] = ..., closed: _Optional[_Iterable[_Union[DriftFinding, _Mapping]]] = ..., untested: _Optional[bool] = ..., left_out_fields: _Optional[int] = ...) -> None: ...

class SliceCause(_message.Message):
    __slots__ = ("field", "moved", "unmoved")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    UNMOVED_FIELD_NUMBER: _ClassVar[int]
    field: str
    moved: _containers.RepeatedScalarFieldContainer[str]
    unmoved: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, field: _Optional[str] = ..., moved: _Optional[_Iterable[str]] = ..., unmoved: _Optional[_Iterable[str]] = ...) -> None: ...

class FieldDrift(_message.Message):
    __slots__ = ("field", "aspect", "findings", "effects", "evidence_share", "rows", "reference_rows", "distributions", "change", "stretches", "examples")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    ASPECT_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    EFFECTS_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_SHARE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_ROWS_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    STRETCHES_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    field: str
    aspect: str
    findings: _containers.RepeatedCompositeFieldContainer[DriftFinding]
    effects: DriftEffects
    evidence_share: float
    rows: int
    reference_rows: int
    distributions: Distributions
    change: str
    stretches: int
    examples: _containers.RepeatedCompositeFieldContainer[DriftExample]
    def __init__(self, field: _Optional[str] = ..., aspect: _Optional[str] = ..., findings: _Optional[_Iterable[_Union[DriftFinding, _Mapping]]] = ..., effects: _Optional[_Union[DriftEffects, _Mapping]] = ..., evidence_share: _Optional[float] = ..., rows: _Optional[int] = ..., reference_rows: _Optional[int] = ..., distributions: _Optional[_Union[Distributions, _Mapping]] = ..., change: _Optional[str] = ..., stretches: _Optional[int] = ..., examples: _Optional[_Iterable[_Union[DriftExample, _Mapping]]] = ...) -> None: ...

class DriftExample(_message.Message):
    __slots__ = ("request_id", "row", "time", "value", "slices")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SLICES_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    row: int
    time: _timestamp_pb2.Timestamp
    value: str
    slices: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, request_id: _Optional[str] = ..., row: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., value: _Optional[str] = ..., slices: _Optional[_Iterable[str]] = ...) -> None: ...

class Distributions(_message.Message):
    __slots__ = ("limits", "labels", "reference", "current", "current_start_time")
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    CURRENT_START_TIME_FIELD_NUMBER: _ClassVar[int]
    limits: _containers.RepeatedScalarFieldContainer[float]
    labels: _containers.RepeatedScalarFieldContainer[str]
    reference: _containers.RepeatedScalarFieldContainer[int]
    current: _containers.RepeatedScalarFieldContainer[int]
    current_start_time: _timestamp_pb2.Timestamp
    def __init__(self, limits: _Optional[_Iterable[float]] = ..., labels: _Optional[_Iterable[str]] = ..., reference: _Optional[_Iterable[int]] = ..., current: _Optional[_Iterable[int]] = ..., current_start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DriftEffects(_message.Message):
    __slots__ = ("psi", "jensen_shannon", "ks", "wasserstein")
    PSI_FIELD_NUMBER: _ClassVar[int]
    JENSEN_SHANNON_FIELD_NUMBER: _ClassVar[int]
    KS_FIELD_NUMBER: _ClassVar[int]
    WASSERSTEIN_FIELD_NUMBER: _ClassVar[int]
    psi: float
    jensen_shannon: float
    ks: float
    wasserstein: float
    def __init__(self, psi: _Optional[float] = ..., jensen_shannon: _Optional[float] = ..., ks: _Optional[float] = ..., wasserstein: _Optional[float] = ...) -> None: ...

class DriftFinding(_message.Message):
    __slots__ = ("field", "aspect", "concern", "change", "since_time", "found_time", "closed_time", "rows", "evidence", "effects")
    class Concern(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CONCERN_UNSPECIFIED: _ClassVar[DriftFinding.Concern]
        CONCERN_DISTRIBUTION: _ClassVar[DriftFinding.Concern]
        CONCERN_MISSING: _ClassVar[DriftFinding.Concern]
        CONCERN_INFINITE: _ClassVar[DriftFinding.Concern]
        CONCERN_OUT_OF_RANGE: _ClassVar[DriftFinding.Concern]
        CONCERN_NEW_CATEGORY: _ClassVar[DriftFinding.Concern]
    CONCERN_UNSPECIFIED: DriftFinding.Concern
    CONCERN_DISTRIBUTION: DriftFinding.Concern
    CONCERN_MISSING: DriftFinding.Concern
    CONCERN_INFINITE: DriftFinding.Concern
    CONCERN_OUT_OF_RANGE: DriftFinding.Concern
    CONCERN_NEW_CATEGORY: DriftFinding.Concern
    FIELD_FIELD_NUMBER: _ClassVar[int]
    ASPECT_FIELD_NUMBER: _ClassVar[int]
    CONCERN_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    SINCE_TIME_FIELD_NUMBER: _ClassVar[int]
    FOUND_TIME_FIELD_NUMBER: _ClassVar[int]
    CLOSED_TIME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    EFFECTS_FIELD_NUMBER: _ClassVar[int]
    field: str
    aspect: str
    concern: DriftFinding.Concern
    change: str
    since_time: _timestamp_pb2.Timestamp
    found_time: _timestamp_pb2.Timestamp
    closed_time: _timestamp_pb2.Timestamp
    rows: int
    evidence: float
    effects: DriftEffects
    def __init__(self, field: _Optional[str] = ..., aspect: _Optional[str] = ..., concern: _Optional[_Union[DriftFinding.Concern, str]] = ..., change: _Optional[str] = ..., since_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., found_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., closed_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rows: _Optional[int] = ..., evidence: _Optional[float] = ..., effects: _Optional[_Union[DriftEffects, _Mapping]] = ...) -> None: ...

class ResetBaselineRequest(_message.Message):
    __slots__ = ("model", "version", "slice")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SLICE_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    slice: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., slice: _Optional[str] = ...) -> None: ...

class ResetBaselineResponse(_message.Message):
    __slots__ = ("reset_count",)
    RESET_COUNT_FIELD_NUMBER: _ClassVar[int]
    reset_count: int
    def __init__(self, reset_count: _Optional[int] = ...) -> None: ...
