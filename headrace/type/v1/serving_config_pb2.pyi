import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from headrace.type.v1 import language_pb2 as _language_pb2
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

class ExecutionMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXECUTION_MODE_UNSPECIFIED: _ClassVar[ExecutionMode]
    EXECUTION_MODE_AUTO: _ClassVar[ExecutionMode]
    EXECUTION_MODE_SEQUENTIAL: _ClassVar[ExecutionMode]
    EXECUTION_MODE_PARALLEL: _ClassVar[ExecutionMode]

class MadeUpData(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MADE_UP_DATA_UNSPECIFIED: _ClassVar[MadeUpData]
    MADE_UP_DATA_ZEROS: _ClassVar[MadeUpData]
    MADE_UP_DATA_RANDOM: _ClassVar[MadeUpData]
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
EXECUTION_MODE_UNSPECIFIED: ExecutionMode
EXECUTION_MODE_AUTO: ExecutionMode
EXECUTION_MODE_SEQUENTIAL: ExecutionMode
EXECUTION_MODE_PARALLEL: ExecutionMode
MADE_UP_DATA_UNSPECIFIED: MadeUpData
MADE_UP_DATA_ZEROS: MadeUpData
MADE_UP_DATA_RANDOM: MadeUpData

class ServingConfig(_message.Message):
    __slots__ = ("batching", "queue", "instances", "provider", "session", "warm_up", "priorities", "max_in_flight_requests", "provider_options", "shapes", "generation", "encoding")
    class Batching(_message.Message):
        __slots__ = ("max_batch_size", "max_queue_delay", "preferred_batch_sizes", "allowed_batch_sizes", "preserve_ordering", "allow_larger_requests", "latency_objective")
        MAX_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
        MAX_QUEUE_DELAY_FIELD_NUMBER: _ClassVar[int]
        PREFERRED_BATCH_SIZES_FIELD_NUMBER: _ClassVar[int]
        ALLOWED_BATCH_SIZES_FIELD_NUMBER: _ClassVar[int]
        PRESERVE_ORDERING_FIELD_NUMBER: _ClassVar[int]
        ALLOW_LARGER_REQUESTS_FIELD_NUMBER: _ClassVar[int]
        LATENCY_OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
        max_batch_size: int
        max_queue_delay: _duration_pb2.Duration
        preferred_batch_sizes: _containers.RepeatedScalarFieldContainer[int]
        allowed_batch_sizes: _containers.RepeatedScalarFieldContainer[int]
        preserve_ordering: bool
        allow_larger_requests: bool
        latency_objective: _duration_pb2.Duration
        def __init__(self, max_batch_size: _Optional[int] = ..., max_queue_delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., preferred_batch_sizes: _Optional[_Iterable[int]] = ..., allowed_batch_sizes: _Optional[_Iterable[int]] = ..., preserve_ordering: _Optional[bool] = ..., allow_larger_requests: _Optional[bool] = ..., latency_objective: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
    class Queue(_message.Message):
        __slots__ = ("max_requests", "timeout", "timeout_action", "allow_timeout_override", "max_wait")
        MAX_REQUESTS_FIELD_NUMBER: _ClassVar[int]
        TIMEOUT_FIELD_NUMBER: _ClassVar[int]
        TIMEOUT_ACTION_FIELD_NUMBER: _ClassVar[int]
        ALLOW_TIMEOUT_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
        MAX_WAIT_FIELD_NUMBER: _ClassVar[int]
        max_requests: int
        timeout: _duration_pb2.Duration
        timeout_action: QueueTimeoutAction
        allow_timeout_override: bool
        max_wait: _duration_pb2.Duration
        def __init__(self, max_requests: _Optional[int] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., timeout_action: _Optional[_Union[QueueTimeoutAction, str]] = ..., allow_timeout_override: _Optional[bool] = ..., max_wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
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
        __slots__ = ("intra_op_threads", "inter_op_threads", "graph_optimization", "execution_mode", "cpu_memory_arena", "memory_pattern", "free_dimensions", "custom_operators", "io_binding")
        class FreeDimensionsEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: int
            def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
        INTRA_OP_THREADS_FIELD_NUMBER: _ClassVar[int]
        INTER_OP_THREADS_FIELD_NUMBER: _ClassVar[int]
        GRAPH_OPTIMIZATION_FIELD_NUMBER: _ClassVar[int]
        EXECUTION_MODE_FIELD_NUMBER: _ClassVar[int]
        CPU_MEMORY_ARENA_FIELD_NUMBER: _ClassVar[int]
        MEMORY_PATTERN_FIELD_NUMBER: _ClassVar[int]
        FREE_DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
        CUSTOM_OPERATORS_FIELD_NUMBER: _ClassVar[int]
        IO_BINDING_FIELD_NUMBER: _ClassVar[int]
        intra_op_threads: int
        inter_op_threads: int
        graph_optimization: GraphOptimization
        execution_mode: ExecutionMode
        cpu_memory_arena: bool
        memory_pattern: bool
        free_dimensions: _containers.ScalarMap[str, int]
        custom_operators: _containers.RepeatedScalarFieldContainer[str]
        io_binding: bool
        def __init__(self, intra_op_threads: _Optional[int] = ..., inter_op_threads: _Optional[int] = ..., graph_optimization: _Optional[_Union[GraphOptimization, str]] = ..., execution_mode: _Optional[_Union[ExecutionMode, str]] = ..., cpu_memory_arena: _Optional[bool] = ..., memory_pattern: _Optional[bool] = ..., free_dimensions: _Optional[_Mapping[str, int]] = ..., custom_operators: _Optional[_Iterable[str]] = ..., io_binding: _Optional[bool] = ...) -> None: ...
    class ProviderOptions(_message.Message):
        __slots__ = ("cpu", "cuda", "tensorrt")
        class CpuEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        class CudaEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        class TensorrtEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        CPU_FIELD_NUMBER: _ClassVar[int]
        CUDA_FIELD_NUMBER: _ClassVar[int]
        TENSORRT_FIELD_NUMBER: _ClassVar[int]
        cpu: _containers.ScalarMap[str, str]
        cuda: _containers.ScalarMap[str, str]
        tensorrt: _containers.ScalarMap[str, str]
        def __init__(self, cpu: _Optional[_Mapping[str, str]] = ..., cuda: _Optional[_Mapping[str, str]] = ..., tensorrt: _Optional[_Mapping[str, str]] = ...) -> None: ...
    class WarmUp(_message.Message):
        __slots__ = ("runs", "data", "samples")
        class Input(_message.Message):
            __slots__ = ("shape", "data", "file")
            SHAPE_FIELD_NUMBER: _ClassVar[int]
            DATA_FIELD_NUMBER: _ClassVar[int]
            FILE_FIELD_NUMBER: _ClassVar[int]
            shape: _containers.RepeatedScalarFieldContainer[int]
            data: MadeUpData
            file: str
            def __init__(self, shape: _Optional[_Iterable[int]] = ..., data: _Optional[_Union[MadeUpData, str]] = ..., file: _Optional[str] = ...) -> None: ...
        class Sample(_message.Message):
            __slots__ = ("name", "runs", "inputs")
            class InputsEntry(_message.Message):
                __slots__ = ("key", "value")
                KEY_FIELD_NUMBER: _ClassVar[int]
                VALUE_FIELD_NUMBER: _ClassVar[int]
                key: str
                value: ServingConfig.WarmUp.Input
                def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[ServingConfig.WarmUp.Input, _Mapping]] = ...) -> None: ...
            NAME_FIELD_NUMBER: _ClassVar[int]
            RUNS_FIELD_NUMBER: _ClassVar[int]
            INPUTS_FIELD_NUMBER: _ClassVar[int]
            name: str
            runs: int
            inputs: _containers.MessageMap[str, ServingConfig.WarmUp.Input]
            def __init__(self, name: _Optional[str] = ..., runs: _Optional[int] = ..., inputs: _Optional[_Mapping[str, ServingConfig.WarmUp.Input]] = ...) -> None: ...
        RUNS_FIELD_NUMBER: _ClassVar[int]
        DATA_FIELD_NUMBER: _ClassVar[int]
        SAMPLES_FIELD_NUMBER: _ClassVar[int]
        runs: int
        data: MadeUpData
        samples: _containers.RepeatedCompositeFieldContainer[ServingConfig.WarmUp.Sample]
        def __init__(self, runs: _Optional[int] = ..., data: _Optional[_Union[MadeUpData, str]] = ..., samples: _Optional[_Iterable[_Union[ServingConfig.WarmUp.Sample, _Mapping]]] = ...) -> None: ...
    class Shapes(_message.Message):
        __slots__ = ("inputs", "outputs")
        class Reshape(_message.Message):
            __slots__ = ("dims",)
            DIMS_FIELD_NUMBER: _ClassVar[int]
            dims: _containers.RepeatedScalarFieldContainer[int]
            def __init__(self, dims: _Optional[_Iterable[int]] = ...) -> None: ...
        class Shape(_message.Message):
            __slots__ = ("dims", "reshape")
            DIMS_FIELD_NUMBER: _ClassVar[int]
            RESHAPE_FIELD_NUMBER: _ClassVar[int]
            dims: _containers.RepeatedScalarFieldContainer[int]
            reshape: ServingConfig.Shapes.Reshape
            def __init__(self, dims: _Optional[_Iterable[int]] = ..., reshape: _Optional[_Union[ServingConfig.Shapes.Reshape, _Mapping]] = ...) -> None: ...
        class InputsEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: ServingConfig.Shapes.Shape
            def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[ServingConfig.Shapes.Shape, _Mapping]] = ...) -> None: ...
        class OutputsEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: ServingConfig.Shapes.Shape
            def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[ServingConfig.Shapes.Shape, _Mapping]] = ...) -> None: ...
        INPUTS_FIELD_NUMBER: _ClassVar[int]
        OUTPUTS_FIELD_NUMBER: _ClassVar[int]
        inputs: _containers.MessageMap[str, ServingConfig.Shapes.Shape]
        outputs: _containers.MessageMap[str, ServingConfig.Shapes.Shape]
        def __init__(self, inputs: _Optional[_Mapping[str, ServingConfig.Shapes.Shape]] = ..., outputs: _Optional[_Mapping[str, ServingConfig.Shapes.Shape]] = ...) -> None: ...
    class Generation(_message.Message):
        __slots__ = ("max_sequences", "kv_cache_bytes", "prefill_tokens_per_step", "prefix_reuse", "context_length", "default_max_tokens", "sampling")
        class Sampling(_message.Message):
            __slots__ = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
            TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
            TOP_K_FIELD_NUMBER: _ClassVar[int]
            TOP_P_FIELD_NUMBER: _ClassVar[int]
            MIN_P_FIELD_NUMBER: _ClassVar[int]
            REPETITION_PENALTY_FIELD_NUMBER: _ClassVar[int]
            temperature: float
            top_k: int
            top_p: float
            min_p: float
            repetition_penalty: float
            def __init__(self, temperature: _Optional[float] = ..., top_k: _Optional[int] = ..., top_p: _Optional[float] = ..., min_p: _Optional[float] = ..., repetition_penalty: _Optional[float] = ...) -> None: ...
        MAX_SEQUENCES_FIELD_NUMBER: _ClassVar[int]
        KV_CACHE_BYTES_FIELD_NUMBER: _ClassVar[int]
        PREFILL_TOKENS_PER_STEP_FIELD_NUMBER: _ClassVar[int]
        PREFIX_REUSE_FIELD_NUMBER: _ClassVar[int]
        CONTEXT_LENGTH_FIELD_NUMBER: _ClassVar[int]
        DEFAULT_MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
        SAMPLING_FIELD_NUMBER: _ClassVar[int]
        max_sequences: int
        kv_cache_bytes: int
        prefill_tokens_per_step: int
        prefix_reuse: bool
        context_length: int
        default_max_tokens: int
        sampling: ServingConfig.Generation.Sampling
        def __init__(self, max_sequences: _Optional[int] = ..., kv_cache_bytes: _Optional[int] = ..., prefill_tokens_per_step: _Optional[int] = ..., prefix_reuse: _Optional[bool] = ..., context_length: _Optional[int] = ..., default_max_tokens: _Optional[int] = ..., sampling: _Optional[_Union[ServingConfig.Generation.Sampling, _Mapping]] = ...) -> None: ...
    class Encoding(_message.Message):
        __slots__ = ("pooling", "normalize", "max_batch_tokens", "truncate")
        POOLING_FIELD_NUMBER: _ClassVar[int]
        NORMALIZE_FIELD_NUMBER: _ClassVar[int]
        MAX_BATCH_TOKENS_FIELD_NUMBER: _ClassVar[int]
        TRUNCATE_FIELD_NUMBER: _ClassVar[int]
        pooling: _language_pb2.Pooling
        normalize: bool
        max_batch_tokens: int
        truncate: bool
        def __init__(self, pooling: _Optional[_Union[_language_pb2.Pooling, str]] = ..., normalize: _Optional[bool] = ..., max_batch_tokens: _Optional[int] = ..., truncate: _Optional[bool] = ...) -> None: ...
    BATCHING_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    WARM_UP_FIELD_NUMBER: _ClassVar[int]
    PRIORITIES_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    SHAPES_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    batching: ServingConfig.Batching
    queue: ServingConfig.Queue
    instances: int
    provider: Provider
    session: ServingConfig.Session
    warm_up: ServingConfig.WarmUp
    priorities: ServingConfig.Priorities
    max_in_flight_requests: int
    provider_options: ServingConfig.ProviderOptions
    shapes: ServingConfig.Shapes
    generation: ServingConfig.Generation
    encoding: ServingConfig.Encoding
    def __init__(self, batching: _Optional[_Union[ServingConfig.Batching, _Mapping]] = ..., queue: _Optional[_Union[ServingConfig.Queue, _Mapping]] = ..., instances: _Optional[int] = ..., provider: _Optional[_Union[Provider, str]] = ..., session: _Optional[_Union[ServingConfig.Session, _Mapping]] = ..., warm_up: _Optional[_Union[ServingConfig.WarmUp, _Mapping]] = ..., priorities: _Optional[_Union[ServingConfig.Priorities, _Mapping]] = ..., max_in_flight_requests: _Optional[int] = ..., provider_options: _Optional[_Union[ServingConfig.ProviderOptions, _Mapping]] = ..., shapes: _Optional[_Union[ServingConfig.Shapes, _Mapping]] = ..., generation: _Optional[_Union[ServingConfig.Generation, _Mapping]] = ..., encoding: _Optional[_Union[ServingConfig.Encoding, _Mapping]] = ...) -> None: ...
