"""`headrace serve-folder`: serve what lies in a folder, without a registry, by one process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from headrace.cli.suite_options import FrontName, LogFormat, LogLevel

_PORTS = "Ports"
_LOGS = "Logs"


def _port(variable: str, what: str) -> Any:
    return typer.Option(
        envvar=variable,
        min=0,
        max=65535,
        help=f"{what}; 0 takes a free one.",
        rich_help_panel=_PORTS,
    )


Folder = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER",
        help="A repository of Triton's, one model of it, or a folder with model.onnx; or one that has "
        "several such folders. It stands before settings of a replica.",
    ),
]
ModelName = Annotated[
    str, typer.Option(help="What to call the one model; else as its folder is called.")
]
Poll = Annotated[
    float,
    typer.Option(help="Look for changes every so many seconds; 0 reads the folder once.", min=0),
]
Data = Annotated[
    Path,
    typer.Option(
        envvar="HEADRACE_DATA",
        file_okay=False,
        help="Where copies of the models and what is prepared of them are kept.",
    ),
]
RestPort = Annotated[int, _port("HEADRACE_INFERENCE_HTTP_PORT", "REST")]
GrpcPort = Annotated[int, _port("HEADRACE_INFERENCE_GRPC_PORT", "gRPC")]
MetricsPort = Annotated[int, _port("HEADRACE_INFERENCE_METRICS_PORT", "Health and metrics")]
Host = Annotated[
    str,
    typer.Option(envvar="HEADRACE_HOST", help="The address to listen on.", rich_help_panel=_PORTS),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    app.command("serve-folder", context_settings=settings)(serve_folder)


def serve_folder(
    ctx: typer.Context,
    folder: Folder,
    model_name: ModelName = "",
    poll: Poll = 0.0,
    data: Data = Path(".headrace/folder"),
    host: Host = "127.0.0.1",
    http_port: RestPort = 8000,
    grpc_port: GrpcPort = 8001,
    metrics_port: MetricsPort = 8002,
    front: FrontName = "auto",
    log_level: LogLevel = "info",
    log_format: LogFormat = "auto",
) -> None:
    """Serve the models of a folder over REST and gRPC: one process, without registry, Redis and monitor.

    It is ready when all models are loaded. All other settings of a replica (docs/settings.md) are options,
    too, such as --max-loaded-versions 8. A model batches as far as its config.pbtxt says.
    """
    if str(folder).startswith("-"):
        raise typer.BadParameter(
            "FOLDER stands before settings of a replica: headrace serve-folder FOLDER --max-loading 1"
        )
    flags = {
        # Of a suite that somebody calls from here, perhaps: a folder has none.
        "redis-url": "",
        "registry-address": "",
        "model-folder": folder.absolute(),
        "model-name": model_name,
        "model-poll-seconds": poll,
        "data": data.absolute(),
        "host": host,
        "http-port": http_port,
        "grpc-port": grpc_port,
        "metrics-port": metrics_port,
        "front": front,
        "log-level": log_level,
        "log-format": log_format,
    }
    _become([sys.executable, "-m", "headrace_inference", *_arguments(flags), *ctx.args])


def _arguments(flags: Mapping[str, object]) -> Iterator[str]:
    return (f"--{flag}={value}" for flag, value in flags.items())


def _become(command: list[str]) -> None:
    """Run the replica in this very process, which keeps its id, its signals and its streams."""
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606 - our own program, by list
