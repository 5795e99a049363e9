"""The options of commands that run a suite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

_PORTS = "Ports"
_STATE = "State"
_LOGS = "Logs"
_TLS = "TLS"
_GATEWAY = "Gateway"


def _port(variable: str, default: int, what: str) -> Any:
    text = f"{what}; 0 takes a free one. [default: {default}]"
    return typer.Option(
        envvar=variable, min=0, max=65535, help=text, show_default=False, rich_help_panel=_PORTS
    )


def _option(variable: str | None, panel: str | None, text: str, **limits: Any) -> Any:
    return typer.Option(envvar=variable, help=text, rich_help_panel=panel, **limits)


Data = Annotated[
    Path, _option("HEADRACE_DATA", _STATE, "The folder for all that is kept.", file_okay=False)
]
RedisUrl = Annotated[
    str | None,
    _option(
        "HEADRACE_REDIS_URL",
        _STATE,
        "A Redis-protocol server to share state through; without one, up starts its own.",
    ),
]


def _redis_file(name: str, text: str) -> Any:
    return _option(f"HEADRACE_REDIS_{name}", _STATE, text, dir_okay=False)


RedisUserFile = Annotated[
    Path | None, _redis_file("USER_FILE", "The file with the name of that server's user.")
]
RedisPasswordFile = Annotated[
    Path | None,
    _redis_file("PASSWORD_FILE", "The file with the user's password, read at each connection."),
]
RedisTlsCa = Annotated[
    Path | None,
    _redis_file("TLS_CA", "The certificates that a rediss:// server's must come from."),
]
RedisTlsCert = Annotated[
    Path | None, _redis_file("TLS_CERT", "The certificate that a rediss:// server is shown.")
]
RedisTlsKey = Annotated[Path | None, _redis_file("TLS_KEY", "The key of that certificate.")]
Replicas = Annotated[
    int | None,
    _option(
        "HEADRACE_REPLICAS",
        None,
        "How many inference processes to run behind the same ports. "
        "[default: one for each 8 cores, 1 to 4, as memory allows]",
        min=0,
        show_default=False,
    ),
]
FrontName = Annotated[
    Literal["auto", "native", "grpcio"],
    _option("HEADRACE_INFERENCE_FRONT", None, "What serves ModelInfer."),
]
Drain = Annotated[
    float,
    _option(
        "HEADRACE_DRAIN_SECONDS",
        None,
        "How long requests in flight may take at the stop.",
        min=0,
    ),
]
Grace = Annotated[
    float,
    _option(
        "HEADRACE_GRACE_SECONDS",
        None,
        "How long a replica that is told to stop goes on serving, not ready, before that.",
        min=0,
    ),
]
Host = Annotated[str, _option("HEADRACE_HOST", _PORTS, "The address that all listen on.")]
Port = Annotated[
    int | None,
    _option(None, _PORTS, "0: every port that is not given is a free one.", min=0, max=0),
]
RegistryPort = Annotated[int | None, _port("HEADRACE_REGISTRY_GRPC_PORT", 8100, "Registry, gRPC")]
RegistryHttpPort = Annotated[
    int | None, _port("HEADRACE_REGISTRY_HTTP_PORT", 8101, "Registry, health and metrics")
]
InferencePort = Annotated[
    int | None, _port("HEADRACE_INFERENCE_GRPC_PORT", 8001, "First replica, gRPC")
]
InferenceHttpPort = Annotated[
    int | None, _port("HEADRACE_INFERENCE_HTTP_PORT", 8000, "First replica, REST")
]
InferenceMetricsPort = Annotated[
    int | None, _port("HEADRACE_INFERENCE_METRICS_PORT", 8002, "First replica, metrics")
]
MonitorPort = Annotated[int | None, _port("HEADRACE_MONITOR_GRPC_PORT", 8200, "Monitor, gRPC")]
MonitorHttpPort = Annotated[
    int | None, _port("HEADRACE_MONITOR_HTTP_PORT", 8201, "Monitor, console and metrics")
]


_ACCESS = "Identity and permissions"
Auth = Annotated[
    bool,
    typer.Option(
        "--auth",
        help="Callers have to prove who they are, and may do what was granted to them. The suite "
        "makes the keys that its own parts use.",
        rich_help_panel=_ACCESS,
    ),
]
IdentityFile = Annotated[
    Path | None,
    typer.Option(
        help="The TOML file that names issuers of JWTs, certificates and gateways that are believed.",
        rich_help_panel=_ACCESS,
        exists=True,
        dir_okay=False,
        show_default=False,
    ),
]
AdminKeyFile = Annotated[
    Path | None,
    typer.Option(
        help="Make the first admin's key and write it here, unless the file is there.",
        rich_help_panel=_ACCESS,
        dir_okay=False,
        show_default=False,
    ),
]


def _tls_file(text: str) -> Any:
    return typer.Option(
        help=text, rich_help_panel=_TLS, exists=True, dir_okay=False, show_default=False
    )


TlsCert = Annotated[
    Path | None,
    _tls_file("The certificate of all ports (PEM, with its chain): they then speak TLS alone."),
]
TlsKey = Annotated[Path | None, _tls_file("Its key.")]
TlsCa = Annotated[
    Path | None,
    _tls_file("Of the authority that signed it, for the suite's own calls; else the system's."),
]
TlsClientCa = Annotated[
    Path | None, _tls_file("Of the authorities that callers' certificates have to be from.")
]
TlsClientAuth = Annotated[
    Literal["off", "optional", "required"],
    typer.Option(help="Whether callers show a certificate.", rich_help_panel=_TLS),
]
Gateway = Annotated[
    bool,
    typer.Option(
        "--gateway",
        help="Have callers come by one address, through Envoy (headrace[gateway]): gRPC, gRPC-Web and "
        "REST. Replicas have no ports for them then.",
        rich_help_panel=_GATEWAY,
    ),
]
GatewayPort = Annotated[
    int | None,
    typer.Option(
        envvar="HEADRACE_GATEWAY_PORT",
        min=0,
        max=65535,
        help="That address's port; 0 takes a free one. [default: 8443 with TLS, else 8080]",
        show_default=False,
        rich_help_panel=_GATEWAY,
    ),
]
GatewaySettings = Annotated[
    Path | None,
    typer.Option(
        envvar="HEADRACE_GATEWAY_SETTINGS_FILE",
        help="A TOML file of the gateway's other settings, read again when it changes.",
        exists=True,
        dir_okay=False,
        show_default=False,
        rich_help_panel=_GATEWAY,
    ),
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"],
    _option("HEADRACE_LOG_LEVEL", _LOGS, "The least severe records that are logged."),
]
LogFormat = Annotated[
    Literal["auto", "human", "json"],
    _option("HEADRACE_LOG_FORMAT", _LOGS, "auto: for people on a terminal, else JSON."),
]
AsJson = Annotated[bool, typer.Option("--json", help="When all is ready, print one line of JSON.")]
