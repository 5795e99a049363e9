"""Settings of the monitor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace import addresses
from headrace.security.settings import AccessSettings
from headrace.service import logs
from headrace.telemetry.costs import Prices
from headrace.tls.settings import PeerTlsSettings
from headrace.tracing.settings import OtlpSettings
from headrace_monitor.domain.limits import Limits

SENT_VERSIONS = 100
"""What replicas put into one report, by the contract."""

_RANGES = {
    "alert_seconds": (0.05, 600),
    "kept_hours": (1, 24 * 31),
    "window_memory_mb": (1, 2**20),
    "report_memory_mb": (4, 2**16),
    "profile_memory_mb": (1, 2**16),
    "max_report_versions": (SENT_VERSIONS, 10_000),
    "max_versions": (1, 20_000),
    "max_reasons": (1, 4096),
    "max_replicas": (1, 10_000),
    "drift_alpha": (0.000001, 1),
    "drift_margin": (0, 0.5),
    "drift_first_rows": (1000, 100_000_000),
    "drift_learning_minutes": (0, 7 * 1440),
    "drift_memory_mb": (1, 2**16),
    "price_per_core_hour": (0, 1_000_000),
    "price_per_kwh": (0, 1_000_000),
    "kept_predictions": (256, 50_000_000),
    "kept_labels_days": (1, 366),
}


@dataclass(frozen=True, slots=True)
class Settings(PeerTlsSettings, AccessSettings, OtlpSettings):
    """The monitor: what the models do, over all replicas."""

    data: Path
    """The folder that keeps telemetry over a restart."""

    namespace: str = "default"
    """The suite's name in its shared state; shown in the console."""

    host: str = "127.0.0.1"
    """The address to listen on."""

    grpc_port: int = 8200
    """The port of headrace.monitor.v1; 0 takes a free one."""

    http_port: int = 8201
    """The port of the console, /healthz, /readyz and /metrics; 0 takes a free one."""

    gateway_folder: Path | None = None
    """A folder of two Unix sockets, grpc.sock and http.sock, beside the ports, for a gateway on this
    machine: its word on callers' certificates is believed."""

    registry_address: str = "127.0.0.1:8100"
    """The address of the registry: its models are shown, and with --auth on it tells who may do what."""

    peers: str = ""
    """The gRPC addresses of the suite's other monitors, A,B: replicas report to one of them, and questions
    are answered for all (docs/operate/two-monitors.md)."""

    alert_rules: Path | None = None
    """A file of rules of alerts, beside those that are shipped: docs/alerts.md. Without one, those are in
    force that `headrace apply` sent."""

    alert_secrets: Path | None = None
    """The folder of the secrets that receivers of alerts name: of webhooks, of services of notification."""

    alert_seconds: float = 10.0
    """How often the rules of alerts are evaluated (seconds)."""

    console_url: str = ""
    """The address at which people reach the console, for the links in notifications: https://HOST."""

    public_address: str = ""
    """Where callers reach the models, host:port, as that of a gateway: the console's calls to copy name it.
    Default: a replica's own."""

    kept_hours: int = 24
    """How long windows of a minute are kept, of the time in which the monitor runs. Those of 10 s are kept
    2 hours, those of 1 s 10 minutes."""

    window_memory_mb: int = 256
    """What windows may take of memory (MiB); over it the oldest are dropped early."""

    profile_memory_mb: int = 128
    """What sums of profiles of data may take of memory (MiB); over it the oldest are dropped early. A
    version of 16 columns takes 2 MB a day."""

    report_memory_mb: int = 32
    """What reports that are not stored yet may have together (MiB of messages, each at most 4); others are
    refused, and sent again."""

    max_report_versions: int = 1000
    """The most versions in one report; a larger report is refused. Replicas send at most 100 in each."""

    max_versions: int = 2000
    """The most versions told apart at a time, over all replicas; others are counted as the model _other.
    One that was silent for 10 minutes gives its place to a new one."""

    max_reasons: int = 200
    """The most reasons of errors, and routes, told apart of one version; others are counted as _other."""

    max_replicas: int = 1000
    """The most replicas that report within 10 minutes; those of others are refused until there is room."""

    drift_alpha: float = 0.01
    """The false alarms of drift that one version may give a day, on average: over all of its fields and
    slices."""

    drift_margin: float = 0.01
    """By how much the share of rows in any part of a field's values may differ from the reference's before
    it counts as drift."""

    drift_first_rows: int = 10_000
    """Where a version has no reference, rows are compared with so many of its first ones; with those of an
    hour (1,000 at least) where fewer came."""

    drift_learning_minutes: int = 10
    """First rows are taken from so long at least, however many come. 1440 has them cover a day."""

    drift_memory_mb: int = 64
    """What the comparison of data with references may take of memory (MiB), 24 kB a field: versions and
    slices for which there is no room are not compared, and `headrace drift` says so."""

    price_per_core_hour: float = 0.0
    """What an hour of one core costs, in your currency: `headrace cost` and the console show what versions
    cost by it. 0 shows none."""

    price_per_kwh: float = 0.0
    """What a kilowatt hour costs, where the price of core hours has it not. 0 adds none."""

    kept_predictions: int = 500_000
    """The most answers that labels may still join: some 200 bytes of memory and 65 of disk each, taken when
    they come; beyond them the oldest go."""

    kept_labels_days: int = 30
    """How long answers, labels and the counts of both are kept, of the time in which the monitor runs."""

    drain_seconds: float = 10.0
    """How long calls that run may take to end at a stop."""

    log_format: logs.Format = "auto"
    """Log records for people (human), as JSON lines (json), or by what standard error is (auto)."""

    log_level: logs.Level = "info"
    """The least level that is logged."""

    ready_fd: int | None = None
    """A file descriptor to which the bound addresses are written as one JSON line."""

    stop_with_stdin: bool = False
    """Whether the end of standard input stops the service."""

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        wrong = [
            f"--{name.replace('_', '-')} must be from {least} to {most}"
            for name, (least, most) in _RANGES.items()
            if not least <= getattr(self, name) <= most
        ]
        wrong += [*self.peer_problems(), *self.access_problems(), *self.otlp_problems()]
        if self.public_address and (problem := addresses.problem(self.public_address)):
            wrong.append(f"--public-address: {problem}")
        for address in self.peer_addresses:
            if problem := addresses.problem(address):
                wrong.append(f"--peers: {address!r}: {problem}")
        if wrong:
            raise ValueError("\n".join(wrong))

    @property
    def peer_addresses(self) -> tuple[str, ...]:
        """Return the addresses of the other monitors."""
        return addresses.several(self.peers) if self.peers else ()

    @property
    def prices(self) -> Prices:
        """Return what is paid."""
        return Prices(self.price_per_core_hour, self.price_per_kwh)

    @property
    def limits(self) -> Limits:
        """Return what reports can make the monitor keep."""
        return Limits(self.max_versions, self.max_reasons, self.max_replicas)
