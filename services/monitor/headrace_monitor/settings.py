"""Settings of the monitor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace import logs

MAX_KEPT_HOURS = 24 * 31


@dataclass(frozen=True, slots=True)
class Settings:
    """The monitor: what the models do, over all replicas."""

    data: Path
    """The folder that keeps telemetry over a restart."""

    namespace: str = "default"
    """The suite's name in its shared state; shown on the dashboard."""

    host: str = "127.0.0.1"
    """The address to listen on."""

    grpc_port: int = 8200
    """The port of headrace.monitor.v1; 0 takes a free one."""

    http_port: int = 8201
    """The port of the dashboard, /healthz, /readyz and /metrics; 0 takes a free one."""

    kept_hours: int = 24
    """How long windows of a minute are kept. Those of 10 s are kept 2 hours, those of 1 s 10 minutes."""

    window_memory_mb: int = 256
    """What windows may take of memory (MiB); over it the oldest are dropped early."""

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
        if not 1 <= self.kept_hours <= MAX_KEPT_HOURS:
            raise ValueError(f"--kept-hours must be from 1 to {MAX_KEPT_HOURS}")
        if self.window_memory_mb < 1:
            raise ValueError("--window-memory-mb must be at least 1")
