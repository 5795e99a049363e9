import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headrace.monitor.v1 import telemetry_pb2 as _telemetry_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReportTelemetryRequest(_message.Message):
    __slots__ = ("report", "sent_time")
    REPORT_FIELD_NUMBER: _ClassVar[int]
    SENT_TIME_FIELD_NUMBER: _ClassVar[int]
    report: _telemetry_pb2.TelemetryReport
    sent_time: _timestamp_pb2.Timestamp
    def __init__(self, report: _Optional[_Union[_telemetry_pb2.TelemetryReport, _Mapping]] = ..., sent_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReportTelemetryResponse(_message.Message):
    __slots__ = ("sequence",)
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    def __init__(self, sequence: _Optional[int] = ...) -> None: ...

class QueryStatisticsRequest(_message.Message):
    __slots__ = ("model", "version", "window", "end_time", "by_replica", "parts_by")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    BY_REPLICA_FIELD_NUMBER: _ClassVar[int]
    PARTS_BY_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    window: _duration_pb2.Duration
    end_time: _timestamp_pb2.Timestamp
    by_replica: bool
    parts_by: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., by_replica: _Optional[bool] = ..., parts_by: _Optional[_Iterable[str]] = ...) -> None: ...

class QueryStatisticsResponse(_message.Message):
    __slots__ = ("start_time", "end_time", "statistics", "replicas", "gaps", "covered", "covered_time", "prices")
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    COVERED_FIELD_NUMBER: _ClassVar[int]
    COVERED_TIME_FIELD_NUMBER: _ClassVar[int]
    PRICES_FIELD_NUMBER: _ClassVar[int]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    statistics: _containers.RepeatedCompositeFieldContainer[VersionStatistics]
    replicas: _containers.RepeatedCompositeFieldContainer[ReplicaStatistics]
    gaps: _containers.RepeatedCompositeFieldContainer[Gap]
    covered: _containers.RepeatedCompositeFieldContainer[Stretch]
    covered_time: _duration_pb2.Duration
    prices: Prices
    def __init__(self, start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., statistics: _Optional[_Iterable[_Union[VersionStatistics, _Mapping]]] = ..., replicas: _Optional[_Iterable[_Union[ReplicaStatistics, _Mapping]]] = ..., gaps: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ..., covered: _Optional[_Iterable[_Union[Stretch, _Mapping]]] = ..., covered_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., prices: _Optional[_Union[Prices, _Mapping]] = ...) -> None: ...

class Prices(_message.Message):
    __slots__ = ("per_core_hour", "per_kwh")
    PER_CORE_HOUR_FIELD_NUMBER: _ClassVar[int]
    PER_KWH_FIELD_NUMBER: _ClassVar[int]
    per_core_hour: float
    per_kwh: float
    def __init__(self, per_core_hour: _Optional[float] = ..., per_kwh: _Optional[float] = ...) -> None: ...

class Stretch(_message.Message):
    __slots__ = ("start_time", "end_time")
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("reason", "start_time", "end_time", "replica", "boot_id", "missing_reports", "monitor")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Gap.Reason]
        REASON_TRIMMED: _ClassVar[Gap.Reason]
        REASON_REPLICA_LOST: _ClassVar[Gap.Reason]
        REASON_REPLICA_SILENT: _ClassVar[Gap.Reason]
        REASON_REPORTS_MISSING: _ClassVar[Gap.Reason]
        REASON_VERSIONS_FOLDED: _ClassVar[Gap.Reason]
        REASON_MONITOR_AWAY: _ClassVar[Gap.Reason]
    REASON_UNSPECIFIED: Gap.Reason
    REASON_TRIMMED: Gap.Reason
    REASON_REPLICA_LOST: Gap.Reason
    REASON_REPLICA_SILENT: Gap.Reason
    REASON_REPORTS_MISSING: Gap.Reason
    REASON_VERSIONS_FOLDED: Gap.Reason
    REASON_MONITOR_AWAY: Gap.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    MISSING_REPORTS_FIELD_NUMBER: _ClassVar[int]
    MONITOR_FIELD_NUMBER: _ClassVar[int]
    reason: Gap.Reason
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    replica: str
    boot_id: str
    missing_reports: int
    monitor: str
    def __init__(self, reason: _Optional[_Union[Gap.Reason, str]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replica: _Optional[str] = ..., boot_id: _Optional[str] = ..., missing_reports: _Optional[int] = ..., monitor: _Optional[str] = ...) -> None: ...

class VersionStatistics(_message.Message):
    __slots__ = ("model", "version", "replica", "success_count", "error_count", "error_counts", "route_counts", "row_count", "execution_count", "batch_counts", "requests_per_second", "total", "queue", "compute", "failed", "measures", "left_count", "parts")
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
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_COUNT_FIELD_NUMBER: _ClassVar[int]
    ERROR_COUNT_FIELD_NUMBER: _ClassVar[int]
    ERROR_COUNTS_FIELD_NUMBER: _ClassVar[int]
    ROUTE_COUNTS_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    BATCH_COUNTS_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    MEASURES_FIELD_NUMBER: _ClassVar[int]
    LEFT_COUNT_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    replica: str
    success_count: int
    error_count: int
    error_counts: _containers.ScalarMap[str, int]
    route_counts: _containers.ScalarMap[str, int]
    row_count: int
    execution_count: int
    batch_counts: _containers.ScalarMap[int, int]
    requests_per_second: float
    total: Latency
    queue: Latency
    compute: Latency
    failed: Latency
    measures: _containers.RepeatedCompositeFieldContainer[MeasureStatistics]
    left_count: int
    parts: _containers.RepeatedCompositeFieldContainer[PartStatistics]
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., replica: _Optional[str] = ..., success_count: _Optional[int] = ..., error_count: _Optional[int] = ..., error_counts: _Optional[_Mapping[str, int]] = ..., route_counts: _Optional[_Mapping[str, int]] = ..., row_count: _Optional[int] = ..., execution_count: _Optional[int] = ..., batch_counts: _Optional[_Mapping[int, int]] = ..., requests_per_second: _Optional[float] = ..., total: _Optional[_Union[Latency, _Mapping]] = ..., queue: _Optional[_Union[Latency, _Mapping]] = ..., compute: _Optional[_Union[Latency, _Mapping]] = ..., failed: _Optional[_Union[Latency, _Mapping]] = ..., measures: _Optional[_Iterable[_Union[MeasureStatistics, _Mapping]]] = ..., left_count: _Optional[int] = ..., parts: _Optional[_Iterable[_Union[PartStatistics, _Mapping]]] = ...) -> None: ...

class PartStatistics(_message.Message):
    __slots__ = ("label", "value", "success_count", "error_count", "left_count", "error_counts", "total", "failed")
    class ErrorCountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    LABEL_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_COUNT_FIELD_NUMBER: _ClassVar[int]
    ERROR_COUNT_FIELD_NUMBER: _ClassVar[int]
    LEFT_COUNT_FIELD_NUMBER: _ClassVar[int]
    ERROR_COUNTS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    label: str
    value: str
    success_count: int
    error_count: int
    left_count: int
    error_counts: _containers.ScalarMap[str, int]
    total: Latency
    failed: Latency
    def __init__(self, label: _Optional[str] = ..., value: _Optional[str] = ..., success_count: _Optional[int] = ..., error_count: _Optional[int] = ..., left_count: _Optional[int] = ..., error_counts: _Optional[_Mapping[str, int]] = ..., total: _Optional[_Union[Latency, _Mapping]] = ..., failed: _Optional[_Union[Latency, _Mapping]] = ...) -> None: ...

class MeasureStatistics(_message.Message):
    __slots__ = ("name", "count", "labels", "sizes", "latency")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SIZES_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    name: str
    count: int
    labels: _telemetry_pb2.CountsByLabel
    sizes: _telemetry_pb2.CountsBySize
    latency: Latency
    def __init__(self, name: _Optional[str] = ..., count: _Optional[int] = ..., labels: _Optional[_Union[_telemetry_pb2.CountsByLabel, _Mapping]] = ..., sizes: _Optional[_Union[_telemetry_pb2.CountsBySize, _Mapping]] = ..., latency: _Optional[_Union[Latency, _Mapping]] = ...) -> None: ...

class Latency(_message.Message):
    __slots__ = ("count", "mean", "p50", "p90", "p95", "p99", "p999", "histogram", "below_range", "above_range")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    P50_FIELD_NUMBER: _ClassVar[int]
    P90_FIELD_NUMBER: _ClassVar[int]
    P95_FIELD_NUMBER: _ClassVar[int]
    P99_FIELD_NUMBER: _ClassVar[int]
    P999_FIELD_NUMBER: _ClassVar[int]
    HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    BELOW_RANGE_FIELD_NUMBER: _ClassVar[int]
    ABOVE_RANGE_FIELD_NUMBER: _ClassVar[int]
    count: int
    mean: _duration_pb2.Duration
    p50: _duration_pb2.Duration
    p90: _duration_pb2.Duration
    p95: _duration_pb2.Duration
    p99: _duration_pb2.Duration
    p999: _duration_pb2.Duration
    histogram: _telemetry_pb2.Histogram
    below_range: int
    above_range: int
    def __init__(self, count: _Optional[int] = ..., mean: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., p50: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., p90: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., p95: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., p99: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., p999: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., histogram: _Optional[_Union[_telemetry_pb2.Histogram, _Mapping]] = ..., below_range: _Optional[int] = ..., above_range: _Optional[int] = ...) -> None: ...

class ReplicaStatistics(_message.Message):
    __slots__ = ("replica", "last_report_time", "dropped_reports", "clock_ahead")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    LAST_REPORT_TIME_FIELD_NUMBER: _ClassVar[int]
    DROPPED_REPORTS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_AHEAD_FIELD_NUMBER: _ClassVar[int]
    replica: str
    last_report_time: _timestamp_pb2.Timestamp
    dropped_reports: int
    clock_ahead: _duration_pb2.Duration
    def __init__(self, replica: _Optional[str] = ..., last_report_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., dropped_reports: _Optional[int] = ..., clock_ahead: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WatchStatisticsRequest(_message.Message):
    __slots__ = ("query", "interval")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    query: QueryStatisticsRequest
    interval: _duration_pb2.Duration
    def __init__(self, query: _Optional[_Union[QueryStatisticsRequest, _Mapping]] = ..., interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class QuerySeriesRequest(_message.Message):
    __slots__ = ("query", "step")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    query: QueryStatisticsRequest
    step: _duration_pb2.Duration
    def __init__(self, query: _Optional[_Union[QueryStatisticsRequest, _Mapping]] = ..., step: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class QuerySeriesResponse(_message.Message):
    __slots__ = ("steps",)
    STEPS_FIELD_NUMBER: _ClassVar[int]
    steps: _containers.RepeatedCompositeFieldContainer[QueryStatisticsResponse]
    def __init__(self, steps: _Optional[_Iterable[_Union[QueryStatisticsResponse, _Mapping]]] = ...) -> None: ...
