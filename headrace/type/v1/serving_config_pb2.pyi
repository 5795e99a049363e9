import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Provider(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROVIDER_UNSPECIFIED: _ClassVar[Provider]
    PROVIDER_AUTO: _ClassVar[Provider]
    PROVIDER_CPU: _ClassVar[Provider]
    PROVIDER_CUDA: _ClassVar[Provider]
    PROVIDER_TENSORRT: _ClassVar[Provider]

class GraphOptimization(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GRAPH_OPTIMIZATION_UNSPECIFIED: _ClassVar[GraphOptimization]
    GRAPH_OPTIMIZATION_DISABLED: _ClassVar[GraphOptimization]
    GRAPH_OPTIMIZATION_BASIC: _ClassVar[GraphOptimization]
    GRAPH_OPTIMIZATION_EXTENDED: _ClassVar[GraphOptimization]
    GRAPH_OPTIMIZATION_ALL: _ClassVar[GraphOptimization]

class QueueTimeoutAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUEUE_TIMEOUT_ACTION_UNSPECIFIED: _ClassVar[QueueTimeoutAction]
    QUEUE_TIMEOUT_ACTION_REJECT: _ClassVar[QueueTimeoutAction]
    QUEUE_TIMEOUT_ACTION_DELAY: _ClassVar[QueueTimeoutAction]
PROVIDER_UNSPECIFIED: Provider
PROVIDER_AUTO: Provider
PROVIDER_CPU: Provider
PROVIDER_CUDA: Provider
PROVIDER_TENSORRT: Provider
GRAPH_OPTIMIZATION_UNSPECIFIED: GraphOptimization
GRAPH_OPTIMIZATION_DISABLED: GraphOptimization
GRAPH_OPTIMIZATION_BASIC: GraphOptimization
GRAPH_OPTIMIZATION_EXTENDED: GraphOptimization
GRAPH_OPTIMIZATION_ALL: GraphOptimization
QUEUE_TIMEOUT_ACTION_UNSPECIFIED: QueueTimeoutAction
QUEUE_TIMEOUT_ACTION_REJECT: QueueTimeoutAction
QUEUE_TIMEOUT_ACTION_DELAY: QueueTimeoutAction

class ServingConfig(_message.Message):
    __slots__ = ("batching", "queue", "instances", "provider", "session", "warm_up", "priorities", "max_in_flight_requests")
    class Batching(_message.Message):
        __slots__ = ("max_batch_size", "max_queue_delay", "preferred_batch_sizes", "allowed_batch_sizes", "preserve_ordering")
        MAX_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
        MAX_QUEUE_DELAY_FIELD_NUMBER: _ClassVar[int]
        PREFERRED_BATCH_SIZES_FIELD_NUMBER: _ClassVar[int]
        ALLOWED_BATCH_SIZES_FIELD_NUMBER: _ClassVar[int]
        PRESERVE_ORDERING_FIELD_NUMBER: _ClassVar[int]
        max_batch_size: int
        max_queue_delay: _duration_pb2.Duration
        preferred_batch_sizes: _containers.RepeatedScalarFieldContainer[int]
        allowed_batch_sizes: _containers.RepeatedScalarFieldContainer[int]
        preserve_ordering: bool
        def __init__(self, max_batch_size: _Optional[int] = ..., max_queue_delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., preferred_batch_sizes: _Optional[_Iterable[int]] = ..., allowed_batch_sizes: _Optional[_Iterable[int]] = ..., preserve_ordering: _Optional[bool] = ...) -> None: ...
    class Queue(_message.Message):
        __slots__ = ("max_requests", "timeout", "timeout_action", "allow_timeout_override")
        MAX_REQUESTS_FIELD_NUMBER: _ClassVar[int]
        TIMEOUT_FIELD_NUMBER: _ClassVar[int]
        TIMEOUT_ACTION_FIELD_NUMBER: _ClassVar[int]
        ALLOW_TIMEOUT_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
        max_requests: int
        timeout: _duration_pb2.Duration
        timeout_action: QueueTimeoutAction
        allow_timeout_override: bool
        def __init__(self, max_requests: _Optional[int] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., timeout_action: _Optional[_Union[QueueTimeoutAction, str]] = ..., allow_timeout_override: _Optional[bool] = ...) -> None: ...
    class Priorities(_message.Message):
        __slots__ = ("levels", "default_level", "queues")
        class QueuesEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: int
            value: ServingConfig.Queue
            def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[ServingConfig.Queue, _Mapping]] = ...) -> None: ...
        LEVELS_FIELD_NUMBER: _ClassVar[int]
        DEFAULT_LEVEL_FIELD_NUMBER: _ClassVar[int]
        QUEUES_FIELD_NUMBER: _ClassVar[int]
        levels: int
        default_level: int
        queues: _containers.MessageMap[int, ServingConfig.Queue]
        def __init__(self, levels: _Optional[int] = ..., default_level: _Optional[int] = ..., queues: _Optional[_Mapping[int, ServingConfig.Queue]] = ...) -> None: ...
    class Session(_message.Message):
        __slots__ = ("intra_op_threads", "inter_op_threads", "graph_optimization")
        INTRA_OP_THREADS_FIELD_NUMBER: _ClassVar[int]
        INTER_OP_THREADS_FIELD_NUMBER: _ClassVar[int]
        GRAPH_OPTIMIZATION_FIELD_NUMBER: _ClassVar[int]
        intra_op_threads: int
        inter_op_threads: int
        graph_optimization: GraphOptimization
        def __init__(self, intra_op_threads: _Optional[int] = ..., inter_op_threads: _Optional[int] = ..., graph_optimization: _Optional[_Union[GraphOptimization, str]] = ...) -> None: ...
    class WarmUp(_message.Message):
        __slots__ = ("runs",)
        RUNS_FIELD_NUMBER: _ClassVar[int]
        runs: int
        def __init__(self, runs: _Optional[int] = ...) -> None: ...
    BATCHING_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    WARM_UP_FIELD_NUMBER: _ClassVar[int]
    PRIORITIES_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    batching: ServingConfig.Batching
    queue: ServingConfig.Queue
    instances: int
    provider: Provider
    session: ServingConfig.Session
    warm_up: ServingConfig.WarmUp
    priorities: ServingConfig.Priorities
    max_in_flight_requests: int
    def __init__(self, batching: _Optional[_Union[ServingConfig.Batching, _Mapping]] = ..., queue: _Optional[_Union[ServingConfig.Queue, _Mapping]] = ..., instances: _Optional[int] = ..., provider: _Optional[_Union[Provider, str]] = ..., session: _Optional[_Union[ServingConfig.Session, _Mapping]] = ..., warm_up: _Optional[_Union[ServingConfig.WarmUp, _Mapping]] = ..., priorities: _Optional[_Union[ServingConfig.Priorities, _Mapping]] = ..., max_in_flight_requests: _Optional[int] = ...) -> None: ...
