import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headrace.type.v1 import profile_pb2 as _profile_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Histogram(_message.Message):
    __slots__ = ("counts", "sum_ns", "buckets", "bucket_counts")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    SUM_NS_FIELD_NUMBER: _ClassVar[int]
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    BUCKET_COUNTS_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.ScalarMap[int, int]
    sum_ns: int
    buckets: bytes
    bucket_counts: bytes
    def __init__(self, counts: _Optional[_Mapping[int, int]] = ..., sum_ns: _Optional[int] = ..., buckets: _Optional[bytes] = ..., bucket_counts: _Optional[bytes] = ...) -> None: ...

class CountsByLabel(_message.Message):
    __slots__ = ("counts",)
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.ScalarMap[str, int]
    def __init__(self, counts: _Optional[_Mapping[str, int]] = ...) -> None: ...

class CountsBySize(_message.Message):
    __slots__ = ("counts",)
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.ScalarMap[int, int]
    def __init__(self, counts: _Optional[_Mapping[int, int]] = ...) -> None: ...

class Measure(_message.Message):
    __slots__ = ("name", "count", "labels", "sizes", "histogram")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SIZES_FIELD_NUMBER: _ClassVar[int]
    HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    name: str
    count: int
    labels: CountsByLabel
    sizes: CountsBySize
    histogram: Histogram
    def __init__(self, name: _Optional[str] = ..., count: _Optional[int] = ..., labels: _Optional[_Union[CountsByLabel, _Mapping]] = ..., sizes: _Optional[_Union[CountsBySize, _Mapping]] = ..., histogram: _Optional[_Union[Histogram, _Mapping]] = ...) -> None: ...

class PartMeasure(_message.Message):
    __slots__ = ("label", "value", "measure")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    label: str
    value: str
    measure: Measure
    def __init__(self, label: _Optional[str] = ..., value: _Optional[str] = ..., measure: _Optional[_Union[Measure, _Mapping]] = ...) -> None: ...

class VersionTelemetry(_message.Message):
    __slots__ = ("model", "version", "success_count", "row_count", "execution_count", "error_counts", "route_counts", "batch_counts", "total", "queue", "compute", "failed", "measures", "parts")
    class ErrorCountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class RouteCountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class BatchCountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_COUNT_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    ERROR_COUNTS_FIELD_NUMBER: _ClassVar[int]
    ROUTE_COUNTS_FIELD_NUMBER: _ClassVar[int]
    BATCH_COUNTS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    MEASURES_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    success_count: int
    row_count: int
    execution_count: int
    error_counts: _containers.ScalarMap[str, int]
    route_counts: _containers.ScalarMap[str, int]
    batch_counts: _containers.ScalarMap[int, int]
    total: Histogram
    queue: Histogram
    compute: Histogram
    failed: Histogram
    measures: _containers.RepeatedCompositeFieldContainer[Measure]
    parts: _containers.RepeatedCompositeFieldContainer[PartMeasure]
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., success_count: _Optional[int] = ..., row_count: _Optional[int] = ..., execution_count: _Optional[int] = ..., error_counts: _Optional[_Mapping[str, int]] = ..., route_counts: _Optional[_Mapping[str, int]] = ..., batch_counts: _Optional[_Mapping[int, int]] = ..., total: _Optional[_Union[Histogram, _Mapping]] = ..., queue: _Optional[_Union[Histogram, _Mapping]] = ..., compute: _Optional[_Union[Histogram, _Mapping]] = ..., failed: _Optional[_Union[Histogram, _Mapping]] = ..., measures: _Optional[_Iterable[_Union[Measure, _Mapping]]] = ..., parts: _Optional[_Iterable[_Union[PartMeasure, _Mapping]]] = ...) -> None: ...

class TelemetryReport(_message.Message):
    __slots__ = ("replica", "boot_id", "sequence", "start_time", "end_time", "versions", "dropped_reports", "last", "profiles", "predictions", "prediction_share", "dropped_predictions", "examples", "exemplars")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_REPORTS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_SHARE_FIELD_NUMBER: _ClassVar[int]
    DROPPED_PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    EXEMPLARS_FIELD_NUMBER: _ClassVar[int]
    replica: str
    boot_id: str
    sequence: int
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    versions: _containers.RepeatedCompositeFieldContainer[VersionTelemetry]
    dropped_reports: int
    last: bool
    profiles: _containers.RepeatedCompositeFieldContainer[VersionProfile]
    predictions: _containers.RepeatedCompositeFieldContainer[Prediction]
    prediction_share: float
    dropped_predictions: int
    examples: _containers.RepeatedCompositeFieldContainer[RowExample]
    exemplars: _containers.RepeatedCompositeFieldContainer[TraceExemplar]
    def __init__(self, replica: _Optional[str] = ..., boot_id: _Optional[str] = ..., sequence: _Optional[int] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., versions: _Optional[_Iterable[_Union[VersionTelemetry, _Mapping]]] = ..., dropped_reports: _Optional[int] = ..., last: _Optional[bool] = ..., profiles: _Optional[_Iterable[_Union[VersionProfile, _Mapping]]] = ..., predictions: _Optional[_Iterable[_Union[Prediction, _Mapping]]] = ..., prediction_share: _Optional[float] = ..., dropped_predictions: _Optional[int] = ..., examples: _Optional[_Iterable[_Union[RowExample, _Mapping]]] = ..., exemplars: _Optional[_Iterable[_Union[TraceExemplar, _Mapping]]] = ...) -> None: ...

class TraceExemplar(_message.Message):
    __slots__ = ("model", "version", "trace_id", "span_id", "duration_ns", "time")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    DURATION_NS_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    trace_id: bytes
    span_id: bytes
    duration_ns: int
    time: _timestamp_pb2.Timestamp
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., trace_id: _Optional[bytes] = ..., span_id: _Optional[bytes] = ..., duration_ns: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class VersionProfile(_message.Message):
    __slots__ = ("model", "version", "slice", "layout", "profile")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SLICE_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    slice: str
    layout: _profile_pb2.Layout
    profile: _profile_pb2.Profile
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., slice: _Optional[str] = ..., layout: _Optional[_Union[_profile_pb2.Layout, _Mapping]] = ..., profile: _Optional[_Union[_profile_pb2.Profile, _Mapping]] = ...) -> None: ...

class Prediction(_message.Message):
    __slots__ = ("model", "version", "request_id", "row", "time", "slices", "label", "value", "confidence", "score", "positive_label")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    SLICES_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_LABEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    request_id: str
    row: int
    time: _timestamp_pb2.Timestamp
    slices: _containers.RepeatedScalarFieldContainer[str]
    label: str
    value: float
    confidence: float
    score: float
    positive_label: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., request_id: _Optional[str] = ..., row: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., slices: _Optional[_Iterable[str]] = ..., label: _Optional[str] = ..., value: _Optional[float] = ..., confidence: _Optional[float] = ..., score: _Optional[float] = ..., positive_label: _Optional[str] = ...) -> None: ...

class RowExample(_message.Message):
    __slots__ = ("model", "version", "reference", "request_id", "row", "time", "slices", "bins", "values")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    SLICES_FIELD_NUMBER: _ClassVar[int]
    BINS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    reference: str
    request_id: str
    row: int
    time: _timestamp_pb2.Timestamp
    slices: _containers.RepeatedScalarFieldContainer[str]
    bins: _containers.RepeatedScalarFieldContainer[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., reference: _Optional[str] = ..., request_id: _Optional[str] = ..., row: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., slices: _Optional[_Iterable[str]] = ..., bins: _Optional[_Iterable[int]] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...
