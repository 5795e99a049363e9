"""`headrace serve`: run the whole suite with given models in it, and say how they are called."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.error_report import printable
from headrace.cli.option_groups import with_groups
from headrace.cli.suite_choices import PortChoice
from headrace.cli.suite_options import (
    Data,
    Host,
    LogFormat,
    LogLevel,
)

if TYPE_CHECKING:
    from headrace.cli.served_models import Served, Source
    from headrace.client.push import Config
    from headrace.model_calls.example_calls import Calls

Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="MODEL.onnx...",
        exists=True,
        help="An .onnx, an archive or a folder, one or several; folders of Triton's models, too.",
    ),
]
Name = Annotated[str, typer.Option(help="What to call the one model; else its file's name.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="A serving config as JSON, or Triton's config.pbtxt, for the one model. "
        "A folder's own config.pbtxt is taken by itself.",
    ),
]
RestPort = Annotated[
    int | None,
    typer.Option(
        help="The port of the first replica's REST API; 0: every port is a free one. [default: 8000]",
        min=0,
        max=65535,
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="When all is served, print one line of JSON.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(with_groups(serve))


def serve(
    *,
    ctx: typer.Context,
    paths: Paths,
    name: Name = "",
    config: ConfigFile = None,
    port: RestPort = None,
    data: Data = Path(".headrace"),
    host: Host = "127.0.0.1",
    ports: PortChoice,
    log_level: LogLevel = "warning",
    log_format: LogFormat = "auto",
    as_json: AsJson = False,
) -> None:
    """Serve models at once: start a suite, push them, and print calls to copy and paste.

    What is in the data folder already is served again; a new version is pushed only if the bytes or the
    config differ, and then it is the one that answers. Ctrl-C stops all; a second Ctrl-C ends all at once.
    """
    from headrace.cli.served_models import sources_of
    from headrace.cli.up import run_suite
    from headrace.local.commands import SuiteOptions
    from headrace.resource_names import check_model_name

    if len(paths) > 1 and (name or config):
        raise typer.BadParameter("--name and --config are for one model; serve it alone")
    sources = sources_of(paths, check_model_name(name) if name else "")
    _check(sources, name, config)
    as_json = as_json or bool((ctx.obj or {}).get("as_json"))
    options = SuiteOptions(
        data=data.absolute(),
        host=host,
        redis=None,
        front="auto",
        log_level=log_level,
        log_format=log_format,
        tls=None,
        gateway=None,
        access=None,
        **replace(ports, inference_http_port=port or ports.inference_http_port).chosen(
            0 if port == 0 else None
        ),
    )
    _say("starting the suite ...", quiet=as_json)
    run_suite(options, partial(_bring_in_and_print, sources, config, as_json=as_json))


def _check(sources: Sequence[Source], name: str, config: Path | None) -> None:
    """Refuse before anything starts what could not be pushed."""
    from headrace.cli.served_models import fingerprint

    for source in sources:
        if not source.is_triton:
            fingerprint(source, _config_of(source, config))
        elif name or config:
            raise typer.BadParameter(
                f"{source.path} is a model of Triton: it has its own name and config.pbtxt"
            )


def _config_of(source: Source, config: Path | None) -> Config | None:
    from headrace.cli.push import read_config

    own = source.path / "config.pbtxt"
    chosen = config or (own if source.path.is_dir() and own.exists() else None)
    return None if chosen is None else read_config(chosen, source.path)


async def _bring_in_and_print(
    sources: Sequence[Source], config: Path | None, where: dict[str, Any], *, as_json: bool
) -> None:
    served = await _bring_in(where, sources, config, quiet=as_json)
    with output.quiet_when_nobody_reads():
        (_print_json if as_json else _print_calls)(where, served)


async def _bring_in(
    where: dict[str, Any], sources: Sequence[Source], config: Path | None, *, quiet: bool
) -> list[Served]:
    from headrace.cli.served_models import bring_in, with_example
    from headrace.client import AsyncClient, read_client_settings

    replica = where["inference"][0]
    settings = read_client_settings(
        registry=where["registry"], inference=replica["grpc"], monitor=where["monitor"]
    )
    served = []
    async with AsyncClient(settings=settings) as client:
        for source in sources:
            _say(f"{source.name}: pushing and loading {source.path} ...", quiet=quiet)
            found = await bring_in(client, source, _config_of(source, config))
            served.append(await with_example(client, found, replica["http"]))
    return served


def _say(text: str, *, quiet: bool) -> None:
    if not quiet:
        print(printable(text), file=sys.stderr, flush=True)


def _calls(where: dict[str, Any], served: Served) -> Calls | None:
    from headrace.addresses import reachable
    from headrace.client.settings import ClientSettings
    from headrace.model_calls.example_calls import example_calls
    from headrace.model_calls.text_calls import text_calls

    replica = where["inference"][0]
    grpc = reachable(replica["grpc"])
    usual = grpc == ClientSettings().inference
    model, facts = served.version.model, served.version.language
    if facts is not None:
        return text_calls(model, facts, reachable(replica["http"]), grpc, usual=usual)
    if served.example is None:
        return None
    return example_calls(model, reachable(replica["http"]), grpc, served.example, usual=usual)


def _print_json(where: dict[str, Any], served: Sequence[Served]) -> None:
    models = [
        {
            "model": each.version.model,
            "version": each.version.number,
            "pushed": each.is_new,
            "calls": _as_json(_calls(where, each), each),
        }
        for each in served
    ]
    print(json.dumps({**where, "models": models}), flush=True)


def _as_json(calls: Calls | None, served: Served) -> dict[str, str]:
    if calls is None:
        return {}
    rest = {"curl": calls.curl, "javascript": calls.javascript} if served.speaks_json else {}
    return {**rest, "python": calls.python}


def _print_calls(where: dict[str, Any], served: Sequence[Served]) -> None:
    lines = [line for each in served for line in _lines(where, each, alone=len(served) == 1)]
    console = f"Console: http://{where['monitor_http']}/"
    api = f"REST API: http://{where['inference'][0]['http']}/docs"
    print("\n".join([*lines, "", f"{console}   {api}   Ctrl-C here stops all"]), flush=True)


def _lines(where: dict[str, Any], served: Served, *, alone: bool) -> list[str]:
    """Return what to say of one model; Python and JavaScript only where there is one, for they are long."""
    version = served.version
    pushed = "pushed now" if served.is_new else "as it was"
    lines = [
        "",
        f"{version.model} version {version.number} is served ({pushed}).",
        *map(printable, version.notices),
    ]
    calls = _calls(where, served)
    if calls is None:
        return [
            *lines,
            f"What it takes: curl -s http://{where['inference'][0]['http']}/v2/models/{version.model}",
        ]
    if served.speaks_json:
        lines += ["", "# curl", calls.curl]
    if alone or not served.speaks_json:
        lines += ["", "# Python (pip install headrace)", calls.python.rstrip()]
    if alone and served.speaks_json:
        lines += ["", "# JavaScript", calls.javascript.rstrip()]
    return [*lines, *_chat_lines(where, served), *_image_lines(where, served)]


def _chat_lines(where: dict[str, Any], served: Served) -> list[str]:
    """How to chat in this terminal, where the model can."""
    facts = served.version.language
    if facts is None or "chat" not in facts.capabilities:
        return []
    grpc = where["inference"][0]["grpc"]
    return ["", "# A chat", f"headrace --inference {grpc} chat {served.version.model}"]


def _image_lines(where: dict[str, Any], served: Served) -> list[str]:
    """How to send an image, where the only input can take one."""
    from headrace.images import layout_of

    inputs = served.version.signature.inputs
    if len(inputs) != 1 or not (layout := layout_of(inputs[0].shape)) or not layout.has_channels:
        return []
    grpc = where["inference"][0]["grpc"]
    return [
        "",
        "# An image",
        f"headrace --inference {grpc} infer {served.version.model} @image.jpg",
    ]
