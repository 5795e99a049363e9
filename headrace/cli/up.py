"""`headrace up`: run the whole suite in the foreground."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from headrace.cli.option_groups import with_groups
from headrace.cli.suite_choices import (
    AccessChoice,
    GatewayChoice,
    PortChoice,
    RedisChoice,
    TlsChoice,
)
from headrace.cli.suite_options import (
    AsJson,
    Data,
    Drain,
    FrontName,
    Grace,
    Host,
    LogFormat,
    LogLevel,
    Port,
    Replicas,
)
from headrace.cli.suite_report import tell

if TYPE_CHECKING:
    from headrace.local.commands import SuiteOptions
    from headrace.local.run import OnReady


def register(app: typer.Typer) -> None:
    """Add the command `up` to the command line."""
    app.command()(with_groups(up))


def up(
    *,
    ctx: typer.Context,
    data: Data = Path(".headrace"),
    redis: RedisChoice,
    replicas: Replicas = None,
    front: FrontName = "auto",
    drain_seconds: Drain = 10.0,
    grace_seconds: Grace = 0.0,
    host: Host = "127.0.0.1",
    port: Port = None,
    ports: PortChoice,
    tls: TlsChoice,
    gateway: GatewayChoice,
    access: AccessChoice,
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

    wanted = SuiteOptions(
        data=data.absolute(),
        host=host,
        redis=redis.server(),
        replicas=_count(data) if replicas is None else replicas,
        front=front,
        drain_seconds=drain_seconds,
        grace_seconds=grace_seconds,
        log_format=log_format,
        log_level=log_level,
        access=access.access(),
        tls=tls.tls(),
        gateway=gateway.options(port),
        **ports.chosen(port),
    )
    as_json = as_json or bool((ctx.obj or {}).get("as_json"))  # before or after the command
    run_suite(wanted, partial(tell, wanted, as_json=as_json))


def _count(data: Path) -> int:
    from headrace.local.replica_count import count_here

    return count_here(data)


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
