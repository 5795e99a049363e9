"""The settings of a replica."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

from headrace import addresses
from headrace.machine.cores import usable_cores
from headrace.security.settings import AccessSettings
from headrace.service import logs
from headrace.service.object_store import url_problem
from headrace.state.connection import check_redis
from headrace.state.redis_settings import RedisSettings, server_of
from headrace.tls.settings import PeerTlsSettings
from headrace.tracing.settings import OtlpSettings
from headrace_inference.domain.sampling.prediction_outputs import outputs_by_model
from headrace_inference.domain.sampling.slices import slicings
from headrace_inference.payload_settings import PayloadSettings

_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s,?#@]+")
_MAX_AGE_SECONDS = 2_000_000
"""gRPC counts milliseconds in 32 bits."""


_POSITIVE = (
    "max_requests_in_flight",
    "max_bytes_in_flight",
    "max_message_bytes",
    "max_stream_requests",
    "max_http_body_bytes",
    "max_http_bytes_in_flight",
    "max_loading",
    "load_timeout_seconds",
    "telemetry_seconds",
    "telemetry_max_reports",
)
"""Numbers that must be over 0; all others may be 0, and none may be less."""


def _own_id() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


@dataclass(frozen=True, slots=True)
class Settings(PeerTlsSettings, RedisSettings, AccessSettings, OtlpSettings, PayloadSettings):
    """A replica: serves versions over the Open Inference Protocol."""

    data: Path
    """The folder of the disk cache of artifacts, by digest."""
    redis_url: str = ""
    """Where the shared state is: redis://, rediss:// (TLS) or unix://; it may name the user. Required, but
    with model_folder."""
    registry_address: str = ""
    """Where artifacts come from: the registry's gRPC address, host:port; required, but with
    model_folder."""
    model_folder: Path | None = None
    """A folder of models to serve without a registry and a shared state, as `headrace serve-folder` does:
    a repository of Triton's, or folders with a graph. Their files are copied to the data folder first."""
    model_name: str = ""
    """What to call the model of a model_folder that has one; by default as its folder is called."""
    model_poll_seconds: float = 0.0
    """How often to look for changes in a model_folder; 0 reads it once."""
    rights_file: Path | None = None
    """The TOML file of keys and grants, where a model_folder is served with auth: there is no registry that
    knows them. Looked at every two seconds."""
    blob_store: str = ""
    """The URL of the store of objects that the registry has its artifacts in, its setting blob_store: they
    are read there, and from the registry where that fails. Without one they come from the registry."""
    seal_key_file: Path | None = None
    """The file of the keys that seal artifacts in the blob_store: 32 bytes in base64 a line, the first of
    which seals, and all open. It must be closed to others. Without one artifacts lie there as they are."""
    seal_key_command: str = ""
    """A command that prints the same, for keys that lie in no file."""
    signature_policy: Path | None = None
    """The file (TOML) that says which models must be signed, and by whom: what is not is not loaded. It is
    read again when it changes. Without one every version is loaded. It costs some 50 MB."""
    monitor_address: str | None = None
    """Where telemetry goes: the monitor's gRPC address, host:port; without one it is dropped. Of several,
    A,B, each replica reports to one, and to another while that is away: docs/operate/two-monitors.md."""
    namespace: str = "default"
    """The namespace of the shared state."""
    replica_id: str = field(default_factory=_own_id)
    """The name of this replica; unique among those that live at a time."""
    labels: tuple[str, ...] = ()
    """What the replica is called by, as key=value,key=value."""
    host: str = "127.0.0.1"
    """The address to listen on."""
    advertised_host: str = ""
    """The host under which others reach this replica, as `headrace status` shows it; by default the address
    listened on, or this machine's name where that is every address."""
    grpc_port: int = 8001
    """The port of the Open Inference Protocol over gRPC; 0 takes a free one."""
    http_port: int = 8000
    """The port of the protocol's REST form; 0 takes a free one."""
    metrics_port: int = 8002
    """The port of Prometheus metrics; 0 takes a free one."""
    shared_grpc_port: int = 0
    """The port for gRPC that all replicas of this machine listen on, besides their own; 0 shares none."""
    shared_http_port: int = 0
    """The same for REST."""
    shared_metrics_port: int = 0
    """The same for Prometheus metrics: whichever replica answers, it has the series of all."""
    shared_folder: Path | None = None
    """The folder by which the replicas that share ports find one another; on this machine's disk."""
    gateway_folder: Path | None = None
    """A folder of two Unix sockets, grpc.sock and http.sock, that this replica serves on instead of ports,
    for a gateway on this machine: it alone can call, and its word on callers' certificates is believed."""
    cores: int = 0
    """How many cores to plan threads, instances and loads for; 0 means all that this process may use.
    Where N replicas share a machine, each has its part."""
    metrics_max_versions: int = 1000
    """How many versions have series of their own in metrics, some 13 kB of a scrape each: the first that do
    something. The others are summed up as model _others."""
    metrics_summaries: bool = False
    """Whether metrics have Triton's latency summaries: 35 series a version, of the last minute."""
    server_name: str = "headrace"
    """The name that ServerMetadata tells; some programs written for Triton insist on triton."""
    front: Literal["auto", "native", "grpcio"] = "auto"
    """What serves ModelInfer: native is fast, grpcio runs everywhere, also with TLS; auto takes native if
    it can."""
    busy_poll_microseconds: int = 100
    """How long the native front looks for the next call after a lone one before it sleeps, which costs a
    core so much and saves the time to wake up; 0, or a single core, has it sleep at once."""
    allocator: Literal["system", "tcmalloc", "jemalloc"] = "system"
    """What memory comes from: the C library, or one of these where it is installed (Linux only). tcmalloc
    mostly takes up to 15 % off the CPU time of small requests, for some 10 MB; measure your own load."""
    max_requests_in_flight: int = 65_536
    """Inference requests of all wires that wait or run at a time; more are refused."""
    max_bytes_in_flight: int = 4 * 2**30
    """Their bytes, in messages and in shared memory, and those of answers that callers do not read; more
    are refused."""
    max_message_bytes: int = 2**31 - 1
    """The largest gRPC request, also after decompression, and the largest answer over gRPC or REST: none
    that is larger is made. The grpcio front stops reading a larger request; the native front refuses it
    when it is there, so keep untrusted callers behind a proxy or that front."""
    stream_response: Literal["triton", "mlserver"] = "triton"
    """The form of ModelStreamInfer's answers: Triton's ModelStreamInferResponse, or MLServer's bare one."""
    max_stream_requests: int = 256
    """Requests of one stream that wait or run at a time; the next is read when one was answered."""
    model_control: Literal["registry", "explicit"] = "registry"
    """Who loads models: the registry alone, or by RepositoryModelLoad callers too, on this replica only."""
    allow_client_shared_memory: bool = False
    """Whether callers on this machine may register shared memory for their tensors."""
    max_http_body_bytes: int = 64 * 2**20
    """The largest REST request, also after decompression."""
    max_http_bytes_in_flight: int = 2**30
    """REST's part of them, while requests are read, too; more are refused."""
    cors_origins: tuple[str, ...] = ()
    """The origins whose pages may call over REST from a browser, as https://example.org,http://localhost:3000;
    * allows all, without credentials."""
    max_connection_age_seconds: float = 0.0
    """How long a gRPC connection lasts, give or take a tenth, until its client is told to connect anew;
    what is in flight ends first, within max_run_seconds. 0 sets no limit. The native front cannot do it:
    auto then takes grpcio."""
    max_loading: int = 2
    """Versions that are fetched and prepared at a time. Those that were prepared before open beside them,
    as many at a time as there are cores."""
    slow_load_seconds: float = 5.0
    """A load that takes longer takes nobody's place any more: it goes on, and the next begins. At most 8
    do."""
    slow_load_bytes: int = 0
    """As long as versions that are being prepared take no more memory together; 0 means a quarter of the
    machine's."""
    max_loaded_versions: int = 0
    """How many versions are loaded at most; 0 sets no limit. What is over it stands by: a request has it
    loaded, and what was used least recently makes room. Pinned models stay."""
    max_loaded_bytes: int = 0
    """The memory that loaded versions may take together, as measured when each was loaded, or by the size
    of its files before; 0 sets no limit. Otherwise as max_loaded_versions."""
    unload_idle_seconds: float = 0.0
    """After how long without a request a version is unloaded, and stands by; 0 keeps it loaded."""
    load_wait_seconds: float = 30.0
    """How long a request waits at most, within its own deadline, for its version to be loaded."""
    max_run_seconds: float = 300.0
    """How long one run of a model may take, whatever its callers allow; 0 sets no limit."""
    spinning: bool = True
    """Whether the threads of a run wait for one another awake for a few microseconds before they sleep:
    faster where the cores are the replica's own, slower where other work shares them."""
    load_timeout_seconds: float = 600.0
    """How long opening and warming a version may take."""
    max_load_memory_bytes: int = 0
    """How much memory opening and warming one version may take; 0 sets no limit."""
    tuning_seconds: float = 5.0
    """How long it may take to measure how a version runs best, where its config leaves that open: after it
    is ready, when the machine is quiet. 0 has nothing measured."""
    disk_reserve_bytes: int | None = None
    """How much room copies of artifacts and prepared versions leave free on the data folder's disk, where
    the shared state may be, too; without one the smaller of 512 MiB and 2.5 % of the disk, half of what
    the registry leaves."""
    prepared_max_bytes: int = 20 * 2**30
    """The size of the disk cache of optimised graphs; what is over it and not in use is removed."""
    custom_operators: Path | None = None
    """The folder of the shared libraries with custom operators that serving configs may name, the same as
    the registry's; without one they are refused."""
    served_names: tuple[str, ...] = ()
    """Further names of models in OpenAI's API, as name=model,name=model@alias: with gpt-4o=smol, programs
    that ask for gpt-4o are answered by smol."""
    gpu_memory_limit_bytes: int = 0
    """The most memory of a device that one version may take; 0 sets no limit."""
    cache_max_bytes: int = 50 * 2**30
    """The disk cache's size; what is over it and not in use is removed, the longest unused first."""
    scrub_bytes_per_second: int = 16 << 20
    """How fast the files of loaded versions are read in the background to find damage, each once an hour;
    0 does not read them."""
    trace_file: Path | None = None
    """The file of traces, one JSON object a line; without one no request can be traced."""
    trace_level: tuple[str, ...] = ()
    """What is traced from the start: TIMESTAMPS, TENSORS or both; TraceSetting changes it."""
    trace_rate: int = 1000
    """Of how many requests one is traced."""
    grpc_header_forward_pattern: str = ""
    """A regular expression; headers of gRPC calls that it matches are parameters in traces."""
    http_header_forward_pattern: str = ""
    """The same for the headers of REST requests."""
    profile_rows: float = 2000.0
    """How many rows a second are looked at, over all models, for profiles of what goes in and out; 0 looks
    at none. Large rows are fewer: 16 MiB a second are copied, and a hundredth of a core is used."""
    profile_values: Literal["off", "numbers", "all"] = "numbers"
    """Which values of the few rows are told to the monitor that show what is off about a field: those of
    requests that have an id. numbers: numbers and classes; all: texts, too, up to 64 characters; off: no
    value, but the bin that it is in."""
    slice_by: tuple[str, ...] = ()
    """What requests are told apart by in figures, profiles and quality, as header:x-region,parameter:tier:
    by the first 20 values of each; others are of the slice _other."""
    count_callers: bool = False
    """Count requests by their callers, too, where callers have to be somebody: by the first 50 subjects,
    all others together. Whoever may read a model then sees who calls it, how often, with which errors."""
    label_share: float = 0.1
    """Of the requests that bring an id, the share, 0 to 1, whose answers are told to the monitor, so that
    labels that come late can be joined by the id; which they are is decided by a hash of the id."""
    prediction_rate: float = 20.0
    """How many answers to those requests are told in a second, on the mean of a minute, one for each row,
    over all versions; others are left out, and counted. 0 tells of none."""
    prediction_outputs: tuple[str, ...] = ()
    """Which output is a model's answer, as MODEL=OUTPUT,...: else the first that is a class, weights of
    classes, or a number."""
    telemetry_seconds: float = 1.0
    """How often telemetry is reported."""
    watts_per_core: float = 10.0
    """What a busy core is taken to need, where the processor's own counter of energy (RAPL) cannot be read:
    energy is processor time times this then, and says so."""
    telemetry_max_reports: int = 600
    """Of how many intervals reports are kept while the monitor is away; then the oldest are dropped, and
    counted."""
    join_seconds: float = 600.0
    """How long the gRPC port stays closed at the start, at most, until each wanted version has loaded or
    failed; 0 opens it at once."""
    grace_seconds: float = 2.0
    """How long the replica goes on serving, not ready, after it was told to stop, so that proxies and
    clients see it and go elsewhere."""
    drain_seconds: float = 10.0
    """How long requests in flight may take after that."""
    log_format: logs.Format = "auto"
    """Log records for people, as JSON, or by whether standard error is a terminal."""
    log_level: logs.Level = "info"
    """The least severe records that are logged."""
    ready_fd: int | None = None
    """A file descriptor that gets JSON lines: the bound addresses once the replica has started, with
    "stage": "joining" while it loads what it is to serve, and once more when it serves."""
    stop_with_stdin: bool = False
    """Stop when standard input ends."""

    def __post_init__(self) -> None:
        """Raises ValueError for a value that no replica can be started with."""
        if self.redis_url:
            check_redis(server_of(self))
        wrong = [f"--{name.replace('_', '-')}: {why}" for name, why in self._problems()]
        wrong += [*self.peer_problems(), *self.access_problems(), *self.otlp_problems()]
        if wrong:
            raise ValueError("\n".join(wrong))

    def _problems_behind_gateway(self) -> Iterator[tuple[str, str]]:
        if self.gateway_folder is not None and self.shares_ports:
            yield "gateway_folder", "a replica behind a gateway shares no ports"

    def _problems_of_sampling(self) -> Iterator[tuple[str, str]]:
        try:
            slicings(self.slice_by)
        except ValueError as error:
            yield "slice_by", str(error)
        try:
            outputs_by_model(self.prediction_outputs)
        except ValueError as error:
            yield "prediction_outputs", str(error)
        yield from self.payload_problems()
        if self.label_share > 1:
            yield "label_share", f"{self.label_share} is not from 0 to 1"

    def _problems_of_monitors(self) -> Iterator[tuple[str, str]]:
        for address in addresses.several(self.monitor_address) if self.monitor_address else ():
            if problem := addresses.problem(address):
                yield "monitor_address", f"{address!r}: {problem}"

    def _problems(self) -> Iterator[tuple[str, str]]:
        """Every setting that no replica can be started with, and why."""
        yield from self._problems_of_origin()
        yield from self._problems_of_monitors()
        if self.blob_store and (problem := url_problem(self.blob_store)):
            yield "blob_store", problem
        for name in ("grpc_header_forward_pattern", "http_header_forward_pattern"):
            try:
                re.compile(getattr(self, name))
            except re.error as error:
                yield name, str(error)
        strange = [repr(origin) for origin in self.cors_origins if not _ORIGIN.fullmatch(origin)]
        if strange:
            expected = "an origin is scheme://host or scheme://host:port, without a path, or *"
            yield "cors_origins", f"{', '.join(strange)}: {expected}"
        nameless = [repr(pair) for pair in self.served_names if not all(pair.partition("="))]
        if nameless:
            yield "served_names", f"{', '.join(nameless)}: name=model is expected"
        for name in (setting.name for setting in fields(self)):
            value, positive = getattr(self, name), name in _POSITIVE
            if isinstance(value, int | float) and not (value > 0 or (value == 0 and not positive)):
                yield name, f"{value} is not {'over 0' if positive else '0 or more'}"
        yield from self._problems_of_sampling()
        if self.shares_ports and self.shared_folder is None:
            yield "shared_folder", "replicas that share ports need one"
        yield from self._problems_behind_gateway()
        if self.max_connection_age_seconds > _MAX_AGE_SECONDS:
            yield (
                "max_connection_age_seconds",
                f"up to {_MAX_AGE_SECONDS} is allowed, or 0 for no limit",
            )

    def _problems_of_origin(self) -> Iterator[tuple[str, str]]:
        """What keeps it from being known where the replica's versions come from."""
        if self.model_folder is not None:
            yield from self._problems_of_folder()
            return
        for name in ("redis_url", "registry_address"):
            if not getattr(self, name):
                variable = f"HEADRACE_{name.upper()}"
                yield name, f"is required (or {variable}), unless --model-folder is given"
        for name in ("model_name", "model_poll_seconds", "rights_file"):
            if getattr(self, name):
                yield name, "it goes with --model-folder"

    def _problems_of_folder(self) -> Iterator[tuple[str, str]]:
        for name in ("redis_url", "registry_address", "blob_store", "signature_policy"):
            if getattr(self, name):
                yield name, "a replica that serves a --model-folder has none"
        if self.auth == "on" and self.rights_file is None:
            yield "rights_file", "with --auth on it is required: without it nobody has any right"
        if self.auth == "off" and self.rights_file is not None:
            yield "rights_file", "it needs --auth on: without it nobody is asked who he is"
        if self.model_control != "registry":
            yield "model_control", "what lies in the --model-folder is loaded, and nothing else"

    @property
    def shares_ports(self) -> bool:
        """Return whether the replica listens on ports that others listen on, too."""
        return bool(self.shared_grpc_port or self.shared_http_port or self.shared_metrics_port)

    @property
    def planned_cores(self) -> int:
        """Return how many cores to plan for."""
        return min(self.cores, usable_cores()) if self.cores else usable_cores()

    def on_shared_ports(self) -> Settings:
        """The same, to listen on the ports that replicas share."""
        return replace(
            self,
            grpc_port=self.shared_grpc_port,
            http_port=self.shared_http_port,
            metrics_port=self.shared_metrics_port,
        )

    def reachable_at(self, address: str) -> str:
        """An address listened on, host:port or unix:PATH, as others reach it."""
        if address.startswith("unix:"):
            return address
        host, port = addresses.split(address)
        if host in addresses.EVERY_INTERFACE:
            host = socket.gethostname()
        return addresses.join(self.advertised_host or host, int(port))

    def served_map(self) -> dict[str, str]:
        """The models that the served names stand for."""
        return dict(pair.partition("=")[::2] for pair in self.served_names)

    def label_map(self) -> dict[str, str]:
        """The labels by key."""
        return dict(label.partition("=")[::2] for label in self.labels)
