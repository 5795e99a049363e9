"""The registry's settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace.machine.cores import usable_cores
from headrace.security.settings import AccessSettings
from headrace.service import logs
from headrace.service.object_store import url_problem
from headrace.state.connection import check_redis
from headrace.state.keys import Keys
from headrace.state.redis_settings import RedisSettings, server_of
from headrace.tls.settings import ServerTlsSettings
from headrace.tracing.settings import OtlpSettings

_GIB = 1 << 30


@dataclass(frozen=True)
class Settings(ServerTlsSettings, RedisSettings, AccessSettings, OtlpSettings):
    """The registry: models, versions, aliases, routes and artifacts."""

    redis_url: str
    """Where the shared state is: redis://, rediss:// (TLS) or unix://; it may name the user."""
    data: Path = Path("registry-data")
    """The folder of the artifacts, which one registry has for itself."""
    blob_store: str = ""
    """The URL of a store of objects for the artifacts: s3://bucket/prefix, gs://bucket/prefix or
    az://account/container/prefix; credentials and endpoint come from the environment. Without one they lie
    in the data folder. Replicas that have the same setting read there themselves."""
    seal_key_file: Path | None = None
    """The file of the keys that seal artifacts in the blob_store: 32 bytes in base64 a line, the first of
    which seals, and all open. It must be closed to others. Without one artifacts lie there as they are."""
    seal_key_command: str = ""
    """A command that prints the same, for keys that lie in no file."""
    audit_folder: Path | None = None
    """The folder for files with every change, in lines with their hashes, written before the log in the
    shared state is trimmed to its last 10,000 changes. While it cannot be written the log keeps up to
    50,000. Without one, older changes are gone."""
    audit_file_bytes: int = 64 << 20
    """The size at which such a file is ended and the next one begun."""
    namespace: str = "default"
    """The part of the shared state that this suite uses."""
    host: str = "127.0.0.1"
    """The address to listen on."""
    grpc_port: int = 8100
    """The port of the gRPC API; 0 takes a free one."""
    http_port: int = 8101
    """The port of health and metrics; 0 takes a free one."""
    gateway_folder: Path | None = None
    """A folder of a Unix socket, grpc.sock, beside the port, for a gateway on this machine: its word on
    callers' certificates is believed."""
    drain_seconds: float = 10.0
    """How long running calls may take to finish when the service stops."""
    max_artifact_bytes: int = 32 * _GIB
    """The largest file that can be pushed."""
    max_pushes: int = 64
    """How many pushes may be under way; others are refused."""
    max_staged_bytes: int = 64 * _GIB
    """How many bytes the pushes under way may have announced together."""
    upload_idle_seconds: float = 60.0
    """How long a push may send nothing before it is ended; a chunk counts when all of it is there."""
    max_unpacked_bytes: int = 64 * _GIB
    """The most bytes that may come out of an archive."""
    max_artifact_files: int = 10_000
    """The most entries that an archive may have."""
    max_expansion: int = 100
    """How many bytes may come out of an archive for each of its own, where more than 1 GiB come out."""
    disk_reserve_bytes: int | None = None
    """How much room pushes leave free on the data folder's disk, so that the shared state can still be
    written; without one the smaller of 1 GiB and 5 % of the disk, 0 for none."""
    scrub_bytes_per_second: int = 16 << 20
    """How fast artifacts at rest are read in the background to find damage; 0 does not read them."""
    check_seconds: float = 120.0
    """How long unpacking and checking an artifact may take, beside a second for every 50 MiB of it."""
    trial_seconds: float = 30.0
    """How much processor time a graph with a loop may take when it is run once, on made-up inputs or a
    warm-up sample, before it is taken."""
    check_memory_bytes: int = 4 * _GIB
    """How much memory the process that checks an artifact may use; where that is more, four times the
    artifact's size, up to half of the machine's memory."""
    checks_at_a_time: int = max(1, usable_cores() // 2)
    """How many artifacts are checked at a time; others wait, but for the slow ones, which move aside."""
    custom_operators: Path | None = None
    """The folder of the shared libraries with custom operators that serving configs may name; they run
    where artifacts are checked. Without one they are refused."""
    max_models: int = 100_000
    """The most models that there may be; every replica knows all of them."""
    max_versions_per_model: int = 1_000
    """The most versions that a model may have at a time."""
    max_aliases_per_model: int = 1_000
    """The most aliases that a model may have."""
    signature_policy: Path | None = None
    """The file (TOML) that says which models must be signed, and by whom; it is read again when it changes.
    Without one every version is taken as it is."""
    protect_models: bool = False
    """Whether new models are protected: they cannot be deleted, forced or not, until `headrace model NAME
    --unprotect`."""
    max_watches: int = 2_000
    """How many watches may be open; others are refused. Each takes up to 50 kB."""
    log_format: logs.Format = "auto"
    """How log records look: auto is human on a terminal and json otherwise."""
    log_level: logs.Level = "info"
    """The least severe records that are logged."""
    ready_fd: int | None = None
    """A file descriptor to which one JSON line with the addresses is written when the service is ready."""
    stop_with_stdin: bool = False
    """Whether the service stops when its standard input ends."""

    def __post_init__(self) -> None:
        """Refuse what is out of range, all of it at once."""
        Keys(self.namespace)
        check_redis(server_of(self))
        wrong = [f"blob_store: {problem}"] if (problem := self._blob_store_problem()) else []
        wrong += [*self.tls_problems(), *self.access_problems(), *self.otlp_problems()]
        if (self.seal_key_file or self.seal_key_command) and not self.blob_store:
            wrong.append("seal_key_file seals what lies in a blob_store, and there is none")
        wrong += [
            f"{name} is {value}; it must be over 0"
            for name, value in self._positive().items()
            if value <= 0
        ]
        may_be_zero = {
            "disk_reserve_bytes": self.disk_reserve_bytes or 0,
            "scrub_bytes_per_second": self.scrub_bytes_per_second,
        }
        wrong += [
            f"{name} is {value}; it must be 0 or more"
            for name, value in may_be_zero.items()
            if value < 0
        ]
        if self.max_staged_bytes < self.max_artifact_bytes:
            wrong.append(
                f"max_staged_bytes is {self.max_staged_bytes}; it must be at least max_artifact_bytes, "
                f"{self.max_artifact_bytes}, or no push could be as large as that"
            )
        if wrong:
            raise ValueError("\n".join(wrong))

    def _blob_store_problem(self) -> str:
        return url_problem(self.blob_store) if self.blob_store else ""

    def _positive(self) -> dict[str, float]:
        return {
            "drain_seconds": self.drain_seconds,
            "audit_file_bytes": self.audit_file_bytes,
            "max_artifact_bytes": self.max_artifact_bytes,
            "max_pushes": self.max_pushes,
            "max_staged_bytes": self.max_staged_bytes,
            "upload_idle_seconds": self.upload_idle_seconds,
            "max_unpacked_bytes": self.max_unpacked_bytes,
            "max_artifact_files": self.max_artifact_files,
            "max_expansion": self.max_expansion,
            "max_models": self.max_models,
            "max_versions_per_model": self.max_versions_per_model,
            "max_aliases_per_model": self.max_aliases_per_model,
            "check_seconds": self.check_seconds,
            "trial_seconds": self.trial_seconds,
            "check_memory_bytes": self.check_memory_bytes,
            "checks_at_a_time": self.checks_at_a_time,
            "max_watches": self.max_watches,
        }
