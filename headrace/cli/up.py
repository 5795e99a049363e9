"""`headrace up`: run the whole suite in the foreground."""

from __future__ import annotations

import json
import os
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from headrace.cli import output
from headrace.cli.suite_options import (
    AdminKeyFile,
    AsJson,
    Auth,
    Data,
    Drain,
    FrontName,
    Gateway,
    GatewayPort,
    GatewaySettings,
    Grace,
    Host,
    IdentityFile,
    InferenceHttpPort,
    InferenceMetricsPort,
    InferencePort,
    LogFormat,
    LogLevel,
    MonitorHttpPort,
    MonitorPort,
    Port,
    RedisPasswordFile,
    RedisTlsCa,
    RedisTlsCert,
    RedisTlsKey,
    RedisUrl,
    RedisUserFile,
    RegistryHttpPort,
    RegistryPort,
    Replicas,
    TlsCa,
    TlsCert,
    TlsClientAuth,
    TlsClientCa,
    TlsKey,
)

if TYPE_CHECKING:
    from headrace.local.commands import SuiteOptions
    from headrace.local.gateway_child import GatewayOptions
    from headrace.local.run import OnReady
    from headrace.local.suite_access import SuiteAccess
    from headrace.local.suite_tls import SuiteTls
    from headrace.state.redis_server import RedisServer
    from headrace.tls.servers import ClientAuth


def register(app: typer.Typer) -> None:
    """Add the command `up` to the command line."""
    app.command()(up)


def up(
    ctx: typer.Context,
    data: Data = Path(".headrace"),
    redis_url: RedisUrl = None,
    redis_user_file: RedisUserFile = None,
    redis_password_file: RedisPasswordFile = None,
    redis_tls_ca: RedisTlsCa = None,
    redis_tls_cert: RedisTlsCert = None,
    redis_tls_key: RedisTlsKey = None,
    replicas: Replicas = None,
    front: FrontName = "auto",
    drain_seconds: Drain = 10.0,
    grace_seconds: Grace = 0.0,
    host: Host = "127.0.0.1",
    port: Port = None,
    registry_port: RegistryPort = None,
    registry_http_port: RegistryHttpPort = None,
    inference_port: InferencePort = None,
    inference_http_port: InferenceHttpPort = None,
    inference_metrics_port: InferenceMetricsPort = None,
    monitor_port: MonitorPort = None,
    monitor_http_port: MonitorHttpPort = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
    tls_client_ca: TlsClientCa = None,
    tls_client_auth: TlsClientAuth = "off",
    gateway: Gateway = False,
    gateway_port: GatewayPort = None,
    gateway_settings: GatewaySettings = None,
    auth: Auth = False,
    identity_file: IdentityFile = None,
    admin_key_file: AdminKeyFile = None,
    log_level: LogLevel = "info",
    log_format: LogFormat = "auto",
    as_json: AsJson = False,
) -> None:
    """Run the whole suite: registry, monitor, replicas and, without --redis-url, a Redis server.

    What ends is started again on the same ports. Several replicas share
    the ports of inference, and have their own ten, twenty, … ports up.
    Ctrl-C drains and stops all; a second Ctrl-C ends all at once.
    """
    from headrace.local.commands import SuiteOptions

    tls = (redis_tls_ca, redis_tls_cert, redis_tls_key)
    wanted = SuiteOptions(
        data=data.absolute(),
        host=host,
        redis=_redis(redis_url, redis_user_file, redis_password_file, *tls),
        replicas=_count(data) if replicas is None else replicas,
        front=front,
        drain_seconds=drain_seconds,
        grace_seconds=grace_seconds,
        log_format=log_format,
        log_level=log_level,
        access=chosen_access(identity_file, admin_key_file, auth=auth),
        tls=chosen_tls(tls_cert, tls_key, tls_ca, tls_client_ca, tls_client_auth),
        gateway=_gateway(port, gateway_port, gateway_settings) if gateway else None,
        **chosen_ports(
            port,
            registry_port=registry_port,
            registry_http_port=registry_http_port,
            inference_port=inference_port,
            inference_http_port=inference_http_port,
            inference_metrics_port=inference_metrics_port,
            monitor_port=monitor_port,
            monitor_http_port=monitor_http_port,
        ),
    )
    as_json = as_json or bool((ctx.obj or {}).get("as_json"))  # before or after the command

    run_suite(wanted, partial(_tell, wanted, as_json=as_json))


def _redis(url: str | None, *files: Path | None) -> RedisServer | None:
    """The server that is given, if there is one. Raises typer.BadParameter."""
    from headrace.state.redis_server import RedisServer

    if not url:
        return None
    server = RedisServer(url, *files)
    if wrong := "; ".join(server.problems()):
        raise typer.BadParameter(wrong)
    return server


def _gateway(
    every_port: int | None, port: int | None, settings_file: Path | None
) -> GatewayOptions:
    """The gateway that is asked for. Raises FailedPrecondition (NO_ENVOY) before anything is started."""
    from headrace.gateway.binary import find_envoy
    from headrace.local.gateway_child import HTTP_PORT, GatewayOptions

    if settings_file is None:  # it may name an Envoy
        named = os.environ.get("HEADRACE_GATEWAY_ENVOY")
        find_envoy(Path(named) if named else None)
    own = int(os.environ.get("HEADRACE_GATEWAY_HTTP_PORT") or HTTP_PORT)
    return GatewayOptions(
        port=every_port if port is None else port,
        http_port=own if every_port is None else every_port,
        settings_file=settings_file and settings_file.absolute(),
    )


def chosen_access(
    identity_file: Path | None, admin_key_file: Path | None, *, auth: bool
) -> SuiteAccess | None:
    """The identity and permissions that are asked for; None where everybody may do everything."""
    from headrace.local.suite_access import SuiteAccess

    if auth:
        files = (file and file.absolute() for file in (identity_file, admin_key_file))
        return SuiteAccess(*files)
    if identity_file or admin_key_file:
        raise typer.BadParameter("--identity-file and --admin-key-file go with --auth")
    return None


def _count(data: Path) -> int:
    from headrace.local.replica_count import count_here

    return count_here(data)


async def _tell(wanted: SuiteOptions, where: dict[str, Any], *, as_json: bool) -> None:
    with output.quiet_when_nobody_reads():
        (_print_json if as_json else _print_addresses)(wanted, where)


def run_suite(options: SuiteOptions, on_ready: OnReady) -> None:
    """Run a suite in the foreground until Ctrl-C; `on_ready` is told where all is."""
    import asyncio
    import os

    from headrace.local.run import run
    from headrace.onnx_runtime.installation import require_onnx_runtime
    from headrace.service import logs
    from headrace.service.private_files import use_private_umask
    from headrace.state.redis_url import forget_passwords

    forget_passwords(os.environ)
    require_onnx_runtime()
    use_private_umask()
    logs.set_up("up", options.log_format, options.log_level)
    asyncio.run(run(options, on_ready))


def chosen_tls(
    certificate: Path | None,
    key: Path | None,
    authorities: Path | None,
    client_authorities: Path | None,
    client_auth: ClientAuth,
) -> SuiteTls | None:
    """The TLS of a suite, None without a certificate. Raises BadParameter for files that do not fit."""
    from headrace.local.suite_tls import SuiteTls
    from headrace.tls.settings import ServerTlsSettings

    given = ServerTlsSettings(
        tls_cert=certificate,
        tls_key=key,
        tls_client_ca=client_authorities,
        tls_client_auth=client_auth,
    )
    wrong = list(given.tls_problems())
    if authorities is not None and certificate is None:
        wrong.append("--tls-ca is for a suite with --tls-cert and --tls-key")
    if wrong:
        raise typer.BadParameter("; ".join(wrong))
    if certificate is None or key is None:
        return None
    return SuiteTls(
        certificate.absolute(),
        key.absolute(),
        authorities and authorities.absolute(),
        client_authorities and client_authorities.absolute(),
        client_auth,
    )


def chosen_ports(otherwise: int | None, **ports: int | None) -> dict[str, int]:
    """The ports that are given; those that are not are `otherwise`, or left out for their defaults."""
    chosen = {name: otherwise if port is None else port for name, port in ports.items()}
    return {name: port for name, port in chosen.items() if port is not None}


def _print_json(_: SuiteOptions, where: dict[str, Any]) -> None:
    print(json.dumps(where), flush=True)


def _print_addresses(wanted: SuiteOptions, where: dict[str, Any]) -> None:
    rpc, web = ("grpcs://", "https") if where["tls"] else ("", "http")
    lines = [
        "Headrace is up.",
        f"  registry   {rpc}{where['registry']}   {web}://{where['registry_http']}/readyz",
        f"  monitor    {rpc}{where['monitor']}   {web}://{where['monitor_http']}/",
        *(_by_gateway(where) or _shared(where, rpc, web)),
        *(
            f"  replica-{index}  {_url(rpc, replica['grpc'])}   {_url(f'{web}://', replica['http'])}"
            f"   metrics {web}://{replica['metrics']}/metrics"
            for index, replica in enumerate(where["inference"])
        ),
        f"  redis      {where['redis_url']}",
        f"  data       {wanted.data}",
        *_how_to_prove(wanted),
        *_how_to_reach(where),
        "Next, elsewhere: headrace push NAME model.onnx --wait",
        "           then: headrace infer NAME VALUE     (Ctrl-C here stops all)",
    ]
    print("\n".join(lines), flush=True)


def _url(scheme: str, address: str) -> str:
    return address if address.startswith("unix:") else f"{scheme}{address}"


def _by_gateway(where: dict[str, Any]) -> list[str]:
    """Return where callers come, if they come by a gateway."""
    gateway = where["gateway"]
    if not gateway:
        return []
    gateway = f"https://{gateway}" if where["tls"] else gateway
    metrics = f"http://{where['gateway_http']}/metrics"
    return [f"  gateway    {gateway}   gRPC, gRPC-Web, REST and the dashboard   metrics {metrics}"]


def _shared(where: dict[str, Any], rpc: str, web: str) -> list[str]:
    """Return where all replicas are called, if there are several."""
    shared = where["shared"]
    if len(where["inference"]) < 2:
        return []
    metrics = f"metrics {web}://{shared['metrics']}/metrics"
    return [f"  replicas   {rpc}{shared['grpc']}   {web}://{shared['http']}   {metrics}"]


def _how_to_prove(wanted: SuiteOptions) -> list[str]:
    """Return how to get a key, where callers have to have one."""
    if wanted.access is None:
        return []
    if wanted.access.admin_key_file:
        return [f"  auth       on; the admin's key: --token-file {wanted.access.admin_key_file}"]
    first = f"headrace keys create NAME --admin --data {wanted.data} > admin.key"
    return [f"  auth       on; an admin's key, if there is none yet: {first}"]


def _how_to_reach(where: dict[str, Any]) -> list[str]:
    """Return what to tell other commands, if they do not try these addresses by themselves."""
    from headrace.client.settings import ClientSettings

    inference = where["shared"].get("grpc", "")
    actual = {**where, "inference": inference}
    usual = ClientSettings()
    names = usual.addresses()
    tls: dict[str, str] | None = where["tls"]
    by_system = tls is not None and not tls["ca"]
    scheme = "grpcs://" if by_system else ""
    other = {
        name: f"{scheme}{actual[name]}"
        for name in names
        if actual[name] and (by_system or actual[name] != getattr(usual, name))
    }
    other |= {f"tls_{name}": value for name, value in (tls or {}).items() if value}
    settings = [f"HEADRACE_{name.upper()}={shlex.quote(value)}" for name, value in other.items()]
    return [f"export {' '.join(settings)}"] if settings else []
