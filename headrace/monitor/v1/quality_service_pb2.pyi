import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RecordLabelsRequest(_message.Message):
    __slots__ = ("model", "labels")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    model: str
    labels: _containers.RepeatedCompositeFieldContainer[Label]
    def __init__(self, model: _Optional[str] = ..., labels: _Optional[_Iterable[_Union[Label, _Mapping]]] = ...) -> None: ...

class Label(_message.Message):
    __slots__ = ("id", "row", "label", "value", "time")
    ID_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    row: int
    label: str
    value: float
    time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., row: _Optional[int] = ..., label: _Optional[str] = ..., value: _Optional[float] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RecordLabelsResponse(_message.Message):
    __slots__ = ("joined", "duplicates", "corrected", "outdated", "not_sampled", "unknown", "wrong_kind")
    JOINED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_FIELD_NUMBER: _ClassVar[int]
    OUTDATED_FIELD_NUMBER: _ClassVar[int]
    NOT_SAMPLED_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    WRONG_KIND_FIELD_NUMBER: _ClassVar[int]
    joined: int
    duplicates: int
    corrected: int
    outdated: int
    not_sampled: int
    unknown: int
    wrong_kind: int
    def __init__(self, joined: _Optional[int] = ..., duplicates: _Optional[int] = ..., corrected: _Optional[int] = ..., outdated: _Optional[int] = ..., not_sampled: _Optional[int] = ..., unknown: _Optional[int] = ..., wrong_kind: _Optional[int] = ...) -> None: ...

class QueryQualityRequest(_message.Message):
    __slots__ = ("model", "version", "slice", "window", "end_time", "step")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SLICE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    slice: str
    window: _duration_pb2.Duration
    end_time: _timestamp_pb2.Timestamp
    step: _duration_pb2.Duration
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., slice: _Optional[str] = ..., window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., step: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class QueryQualityResponse(_message.Message):
    __slots__ = ("qualities", "sampled_share", "dropped_predictions")
    QUALITIES_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_SHARE_FIELD_NUMBER: _ClassVar[int]
    DROPPED_PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    qualities: _containers.RepeatedCompositeFieldContainer[Quality]
    sampled_share: float
    dropped_predictions: int
    def __init__(self, qualities: _Optional[_Iterable[_Union[Quality, _Mapping]]] = ..., sampled_share: _Optional[float] = ..., dropped_predictions: _Optional[int] = ...) -> None: ...

class Quality(_message.Message):
    __slots__ = ("model", "version", "slice", "start_time", "end_time", "predictions", "labelled", "delay", "figures", "estimates", "confusion", "notes")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SLICE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    LABELLED_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    ESTIMATES_FIELD_NUMBER: _ClassVar[int]
    CONFUSION_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    slice: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    predictions: int
    labelled: int
    delay: _duration_pb2.Duration
    figures: _containers.RepeatedCompositeFieldContainer[Figure]
    estimates: _containers.RepeatedCompositeFieldContainer[Figure]
    confusion: _containers.RepeatedCompositeFieldContainer[ConfusionCount]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., slice: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., predictions: _Optional[int] = ..., labelled: _Optional[int] = ..., delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., figures: _Optional[_Iterable[_Union[Figure, _Mapping]]] = ..., estimates: _Optional[_Iterable[_Union[Figure, _Mapping]]] = ..., confusion: _Optional[_Iterable[_Union[ConfusionCount, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class Figure(_message.Message):
    __slots__ = ("name", "of", "value", "low", "high", "count", "estimated")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    name: str
    of: str
    value: float
    low: float
    high: float
    count: int
    estimated: bool
    def __init__(self, name: _Optional[str] = ..., of: _Optional[str] = ..., value: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., count: _Optional[int] = ..., estimated: _Optional[bool] = ...) -> None: ...

class ConfusionCount(_message.Message):
    __slots__ = ("predicted", "truth", "count")
    PREDICTED_FIELD_NUMBER: _ClassVar[int]
    TRUTH_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    predicted: str
    truth: str
    count: int
    def __init__(self, predicted: _Optional[str] = ..., truth: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...
