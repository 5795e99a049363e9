"""The nouns of the shared state: what the registry writes and every replica reads.

All are immutable. A `revision` in a record is the revision of the shared state that last changed it.
Times are seconds since the Unix epoch.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from headrace.datatype_names import Datatype
from headrace.state.gate_records import GateRecord
from headrace.state.language_records import (
    EncodingConfig,
    GenerationConfig,
    LanguageFacts,
    VersionKind,
)
from headrace.state.route_records import RouteRecord


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output: -1 in `shape` is a free dimension, whose name (or '') is in `dim_names`."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    dim_names: tuple[str, ...] = ()
    unranked: bool = False
    """Whether it may have any number of dimensions; `shape` is then empty."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs and outputs of a version, in the order of its graph."""

    inputs: tuple[TensorSpec, ...]
    """Those that every request must bring."""
    outputs: tuple[TensorSpec, ...]
    optional_inputs: tuple[TensorSpec, ...] = ()
    """Those that have a default in the graph, which a request may replace."""

    def inputs_with(self, optional: Iterable[int]) -> tuple[TensorSpec, ...]:
        """The required inputs, and behind them the optional ones at these places."""
        return (*self.inputs, *[self.optional_inputs[place] for place in optional])


class Provider(enum.StrEnum):
    """The device of a version: AUTO takes CUDA where there is a device, and else the CPU."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"


class GraphOptimization(enum.StrEnum):
    """ONNX Runtime's graph optimisation level."""

    DISABLED = "disabled"
    BASIC = "basic"
    EXTENDED = "extended"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Batching:
    """Settings of batching: up to `max_batch_size` rows (0: the model does not batch)."""

    max_batch_size: int = 0
    max_queue_delay_microseconds: int = 0
    preferred_batch_sizes: tuple[int, ...] = ()
    allowed_batch_sizes: tuple[int, ...] = ()
    """The only sizes that are run, the last of them the largest; none: every size."""
    preserve_ordering: bool = False
    """Whether batches are answered in the order in which they were taken."""
    allow_larger_requests: bool = False
    """Whether one request of more rows than `max_batch_size` is run, or refused: alone, or a few in a run
    that is short."""
    latency_objective_microseconds: int = 0
    """The p99 under which batches wait for more rows; 0: none."""


class TimeoutAction(enum.StrEnum):
    """The fate of a request that waited too long: refused, or put behind the others."""

    REJECT = "reject"
    DELAY = "delay"


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """Bounds of waiting: the number of requests, and the time (0: as their deadlines allow).

    `max_wait_microseconds`: a request that is expected to wait for longer is not queued (0: all are; None:
    as its speed suggests).
    """

    max_requests: int = 4096
    timeout_microseconds: int = 0
    timeout_action: TimeoutAction = TimeoutAction.REJECT
    allow_timeout_override: bool = False
    """Whether a request's own timeout can shorten this one."""
    max_wait_microseconds: int | None = None


@dataclass(frozen=True, slots=True)
class Priorities:
    """Levels of requests, 1 the highest; with 0 levels all are alike.

    `queues` are the policies of levels that differ from the version's.
    """

    levels: int = 0
    default_level: int = 0
    queues: Mapping[int, QueuePolicy] = field(default_factory=dict)


class ExecutionMode(enum.StrEnum):
    """The order of operators: AUTO runs them in parallel if there are several inter-op threads."""

    AUTO = "auto"
    SEQUENTIAL = "sequential"
    PARALLEL = "parallel"


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """ONNX Runtime's session options; 0 threads lets a replica choose, by measuring or by its cores."""

    intra_op_threads: int = 0
    inter_op_threads: int = 0
    graph_optimization: GraphOptimization = GraphOptimization.ALL
    execution_mode: ExecutionMode = ExecutionMode.AUTO
    cpu_memory_arena: bool = True
    memory_pattern: bool = True
    free_dimensions: Mapping[str, int] = field(default_factory=dict)
    """Sizes of the inputs' named dimensions; a version's signature has them already."""
    custom_operators: tuple[str, ...] = ()
    """File names of shared libraries, which every service has in a folder of its own."""
    io_binding: bool | None = None
    """Whether tensors are handed over by a binding; None: where that gains, or is the only way."""


class SyntheticData(enum.StrEnum):
    """The values of an input that is made up."""

    ZEROS = "zeros"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class SampleInput:
    """One input of a sample: values from a file of the artifact, or made up where `file` is empty.

    `shape` is that of one row; where it is empty the signature says it.
    """

    file: str = ""
    data: SyntheticData = SyntheticData.ZEROS
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """Inputs by name that every warmed batch size is run with, so many times."""

    name: str
    inputs: Mapping[str, SampleInput]
    runs: int = 1


@dataclass(frozen=True, slots=True)
class WarmUp:
    """The runs before a version is ready: `samples`, or else `runs` times made-up inputs."""

    runs: int = 1
    data: SyntheticData = SyntheticData.ZEROS
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True)
class DeclaredShape:
    """A tensor's shape as callers see it, without the batch dimension where the version batches.

    `graph` is the shape in which the graph has the same elements; None: the same.
    """

    dims: tuple[int, ...]
    graph: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class DeclaredShapes:
    """Shapes of tensors by name, where the graph's own are not what callers see."""

    inputs: Mapping[str, DeclaredShape] = field(default_factory=dict)
    outputs: Mapping[str, DeclaredShape] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServingConfig:
    """The serving config of a version."""

    batching: Batching = Batching()
    queue: QueuePolicy = QueuePolicy()
    instances: int = 0
    """How many batches run at a time; 0: what each replica finds best when it measures."""
    provider: Provider = Provider.AUTO
    session: SessionOptions = SessionOptions()
    warm_up: WarmUp = WarmUp()
    priorities: Priorities = Priorities()
    max_in_flight_requests: int = 0
    """How many requests may wait or run; 0: only the queue bounds them."""
    provider_options: Mapping[Provider, Mapping[str, str]] = field(default_factory=dict)
    """What execution providers are told over what they are told anyway; AUTO is none of them."""
    shapes: DeclaredShapes = DeclaredShapes()
    """A version's signature has them already."""
    generation: GenerationConfig = GenerationConfig()
    """Of a generative version alone."""
    encoding: EncodingConfig = EncodingConfig()
    """Of a version that embeds or reranks alone."""


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """One file of a version: its relative path with '/', and its bytes by SHA-256 (64 hex digits)."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """The files of a version, and their digest."""

    model: str
    number: int
    digest: str
    files: tuple[ArtifactFile, ...]

    @property
    def key(self) -> str:
        """`model/number`, as that of its version."""
        return version_key(self.model, self.number)


BATCHING_NOTICE = "batching "
"""The beginning of the notice that says whether a version batches, and why."""


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One immutable version: `digest` is the SHA-256 over its files' paths and digests."""

    model: str
    number: int
    digest: str
    files: tuple[ArtifactFile, ...]
    graph_path: str
    signature: Signature
    config: ServingConfig
    created_at: float
    description: str = ""
    revision: int = 0
    notices: tuple[str, ...] = ()
    """Sentences of one line each that the registry says about it: what was decided, and why."""
    signature_bundle: str = ""
    """The signature of whoever made it, a bundle of model-signing; '' where there is none."""
    language: LanguageFacts | None = None
    """What its files say of a version that takes or gives text; None of one for tensors."""

    @property
    def kind(self) -> VersionKind:
        """Return what callers ask it for."""
        return self.language.kind if self.language else VersionKind.TENSORS

    @property
    def batching_decision(self) -> str:
        """Return why it batches or not, "on: …" or "off: …"; nothing where its push did not say that."""
        said = (n for n in self.notices if n.startswith(BATCHING_NOTICE))
        return next(said, "").removeprefix(BATCHING_NOTICE)

    @property
    def key(self) -> str:
        """`model/number`, as the shared state keeps it."""
        return version_key(self.model, self.number)

    @property
    def digests(self) -> Mapping[str, str]:
        """The SHA-256 of each file by its path; '' for files of this machine alone."""
        return {file.path: file.sha256 for file in self.files}

    @property
    def size_bytes(self) -> int:
        """The bytes of all its files."""
        return sum(file.size_bytes for file in self.files)


def version_key(model: str, number: int) -> str:
    """`model/number`; a model's name has no slash."""
    return f"{model}/{number}"


@dataclass(frozen=True, slots=True)
class AliasRecord:
    """An alias, and the version that it names."""

    version: int
    updated_at: float
    revision: int = 0


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model with what moves atomically with it. `keep_latest`: so many newest versions stay loaded.

    One that is `pinned` is never unloaded by replicas that unload what is not used.

    `route` is None until the first version is pushed, which it then names as stable.
    """

    name: str
    created_at: float
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    keep_latest: int = 1
    last_number: int = 0
    aliases: Mapping[str, AliasRecord] = field(default_factory=dict)
    route: RouteRecord | None = None
    revision: int = 0
    pinned: bool = False
    protected: bool = False
    """Whether it cannot be deleted, forced or not."""
    gate: GateRecord | None = None
    """What must hold of a version's metrics before an alias or the route may name it."""


class LoadState(enum.StrEnum):
    """The state of a version on one replica; the names are Triton's."""

    LOADING = "LOADING"
    READY = "READY"
    UNLOADING = "UNLOADING"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class ReplicaVersion:
    """One version as one replica sees it; `reason` says why it is unavailable."""

    model: str
    number: int
    state: LoadState
    reason: str = ""
    memory_bytes: int = 0
    provider: str = ""
    digest: str = ""
    """The beginning of its digest; nothing where that is not known."""


class ReplicaStage(enum.StrEnum):
    """The stage of a replica: only one that is READY should get requests."""

    JOINING = "joining"
    READY = "ready"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True)
class ReplicaRecord:
    """A replica's presence: how to reach it, what it has, and how far it has followed the state."""

    id: str
    grpc_address: str
    http_address: str
    metrics_address: str
    pid: int
    started_at: float
    applied_revision: int
    labels: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    versions: tuple[ReplicaVersion, ...] = ()
    stage: ReplicaStage = ReplicaStage.READY
    """READY, too, of a replica that is too old to say."""
    loads_on_request: bool = False
    """Whether wanted versions that are not among `versions` are loaded when a request asks for them."""
    problem: str = ""
    """What keeps it from following the state, `REASON: message`; '' where nothing does."""
