"""`headrace gateway`: one address for all replicas, the registry and the monitor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

_LOGS = "Logs"


def _option(variable: str, text: str, **limits: Any) -> Any:
    return typer.Option(envvar=f"HEADRACE_{variable}", help=text, show_default=False, **limits)


RegistryAddress = Annotated[
    str | None,
    _option(
        "GATEWAY_REGISTRY_ADDRESS",
        "The registry's gRPC address, host:port or unix:PATH: it says which replicas there are.",
    ),
]
MonitorAddress = Annotated[
    str | None,
    _option("GATEWAY_MONITOR_ADDRESS", "The monitor's gRPC address, for queries of statistics."),
]
MonitorHttpAddress = Annotated[
    str | None,
    _option("GATEWAY_MONITOR_HTTP_ADDRESS", "The monitor's HTTP address, for its console."),
]
Data = Annotated[
    Path | None,
    _option(
        "GATEWAY_DATA",
        "The folder of the replicas known last. [default: .headrace/gateway]",
        file_okay=False,
    ),
]
Host = Annotated[
    str | None, _option("GATEWAY_HOST", "The address to listen on. [default: 127.0.0.1]")
]
Port = Annotated[
    int | None,
    _option(
        "GATEWAY_PORT",
        "The port for gRPC, gRPC-Web and REST; 0 takes a free one. [default: 8443 with TLS, else 8080]",
        min=0,
        max=65535,
    ),
]
TlsCert = Annotated[Path | None, _option("GATEWAY_TLS_CERT", "The certificate to show, PEM.")]
TlsKey = Annotated[Path | None, _option("GATEWAY_TLS_KEY", "Its key, PEM.")]
Envoy = Annotated[
    Path | None, _option("GATEWAY_ENVOY", "The Envoy to run, instead of that of headrace[gateway].")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    app.command("gateway", context_settings=settings)(gateway)


def gateway(
    ctx: typer.Context,
    registry_address: RegistryAddress = None,
    monitor_address: MonitorAddress = None,
    monitor_http_address: MonitorHttpAddress = None,
    data: Data = None,
    host: Host = None,
    port: Port = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    envoy: Envoy = None,
) -> None:
    """Run a gateway: one address for gRPC, gRPC-Web and REST, over all replicas, by Envoy.

    All other settings of a gateway (docs/settings.md) are options, too, such as --cors-origins
    https://app.example. Several may run side by side.
    """
    from headrace.gateway.__main__ import main

    flags = {
        "registry-address": registry_address,
        "monitor-address": monitor_address,
        "monitor-http-address": monitor_http_address,
        "data": data,
        "host": host,
        "port": port,
        "tls-cert": tls_cert,
        "tls-key": tls_key,
        "envoy": envoy,
    }
    raise typer.Exit(main([*_arguments(flags), *ctx.args]))


def _arguments(flags: Mapping[str, object]) -> Iterator[str]:
    return (f"--{flag}={value}" for flag, value in flags.items() if value is not None)
