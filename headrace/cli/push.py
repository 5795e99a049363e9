"""`headrace push`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import annotation_options as options
from headrace.cli import output
from headrace.cli.annotation_options import LineageOptions
from headrace.cli.arguments import NewModelName
from headrace.cli.command import Cli, command
from headrace.cli.error_report import printable
from headrace.cli.insistence import AllowGateFailure, AllowSignatureChange
from headrace.cli.progress_bars import Bars, progress_bars
from headrace.cli.sample_files import read_samples
from headrace.cli.unsupported_fields import warn
from headrace.errors import HeadraceError
from headrace.state.annotation_records import CARD_PATH
from headrace.state.language_records import VersionKind

if TYPE_CHECKING:
    from headrace.artifacts.signatures import SigningKey
    from headrace.client import AsyncClient, Progress, Version
    from headrace.client.push import Config
    from headrace.state.annotation_records import Lineage
    from headrace.triton.graph import GraphTensors

WAIT_SECONDS = 900.0
"""How long a push with --wait may take in all, unless --timeout says otherwise."""

_LOADING = "loading"


PushedPath = Annotated[
    Path | None,
    typer.Argument(exists=True, help="An .onnx, a .zip, a .tar, a .tar.gz, or a folder."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="A serving config as JSON, or Triton's config.pbtxt, over what is proposed.",
    ),
]
SignKey = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Sign it with this private key (PEM)."),
]
SignCertificate = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="The key's certificate (PEM), to go with it."),
]
SignChain = Annotated[
    list[Path] | None,
    typer.Option(exists=True, dir_okay=False, help="Certificates between that and its authority."),
]
SignatureFile = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="A signature made elsewhere: a model.sig."),
]
Alias = Annotated[str, typer.Option(help="An alias to point at the new version.")]
Description = Annotated[str, typer.Option(help="What is new in it.")]
Graph = Annotated[
    str,
    typer.Option(help="Of a language model's folder with several graphs, the one: its path."),
]
Kind = Annotated[
    VersionKind | None,
    typer.Option(
        "--as", help="What callers ask it for, where its files leave that open.", show_default=False
    ),
]
ReferenceSamples = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="Rows that show how its data look: the version's reference (see `headrace reference set`).",
    ),
]
CardFile = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="Its model card, Markdown.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until every replica serves it.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "push", changes=True)(push)


async def push(
    cli: Cli,
    name: NewModelName,
    path: PushedPath = None,
    alias: Alias = "",
    config: ConfigFile = None,
    description: Description = "",
    sign_key: SignKey = None,
    sign_certificate: SignCertificate = None,
    sign_chain: SignChain = None,
    signature: SignatureFile = None,
    graph: Graph = "",
    kind: Kind = None,
    reference: ReferenceSamples = None,
    tag: options.Tags = None,
    metric: options.MetricValues = None,
    metrics: options.MetricsFile = None,
    part: options.SliceOfMetrics = "",
    data: options.MetricData = "",
    rows: options.RowsOfMetrics = 0,
    parent: options.Parent = None,
    method: options.Method = None,
    made_by: options.MadeBy = None,
    source_revision: options.SourceRevision = None,
    source: options.Source = True,
    trained_on: options.TrainedOn = None,
    training_run: options.TrainingRun = None,
    fact: options.Facts = None,
    card: CardFile = None,
    wait: Wait = False,
    allow_signature_change: AllowSignatureChange = False,
    allow_gate_failure: AllowGateFailure = False,
) -> None:
    """Push a version: it is checked, then stored for good, then loaded by the replicas.

    The first version of a model becomes its stable one; later ones are called by number or alias until
    `headrace route` moves. Without --timeout, a push and its --wait may take 15 minutes.
    """
    if allow_signature_change and not alias:
        raise typer.BadParameter(
            "--allow-signature-change is for an alias that moves: give --alias"
        )
    signing_key = _signing_key(sign_key, sign_certificate, sign_chain or [], signature)
    name, path = _named(name, path)
    samples = None if reference is None else read_samples(reference)
    lineage = LineageOptions(
        parent, method, made_by, source_revision, trained_on, training_run, tuple(fact or ())
    )
    said: dict[str, Any] = {
        "tags": options.pairs(tag, "--tag"),
        "metrics": options.metrics_of(metric, metrics, part, data, rows),
        "lineage": await _lineage(lineage, source),
    }
    written = None if card is None else card.read_bytes()
    serving_config = None if config is None else read_config(config, path)
    total = WAIT_SECONDS if cli.timeout_seconds is None else cli.timeout_seconds
    deadline = time.monotonic() + total
    async with cli.client() as client:
        with progress_bars(cli) as bars:
            version = await client.push(
                name,
                path,
                alias=alias,
                config=serving_config,
                description=description,
                allow_signature_change=allow_signature_change,
                allow_gate_failure=allow_gate_failure,
                signing_key=signing_key,
                signature_bundle=signature.read_text("utf-8") if signature else "",
                graph=graph,
                kind=kind,
                **said,
                progress=lambda step: _draw(bars, step),
                timeout_seconds=total,
            )
        pushed = f"pushed version {version.number} of {name} ({output.size(version.size_bytes)})"
        cli.show(version, lambda: [pushed, *map(printable, version.notices)])
        if written is not None:
            with _told_without(version, "card", "annotate", "--card FILE"):
                await client.attach(name, version.number, CARD_PATH, written)
        if samples is not None and reference is not None:
            await _set_reference(cli, client, version, samples, reference.name)
        if wait:
            await _wait(cli, client, version, deadline)


async def _lineage(said: LineageOptions, source: bool) -> Lineage | None:
    """What was said of where it is from, with the commit of this folder where none was."""
    if source and said.source_revision is None:
        from headrace.lifecycle.versions.sources import source_revision

        said = replace(said, source_revision=await asyncio.to_thread(source_revision) or None)
    return said.over(None) if said.given else None


async def _set_reference(
    cli: Cli, client: AsyncClient, version: Version, samples: Mapping[str, Any], origin: str
) -> None:
    with _told_without(version, "reference", "reference set", "--samples FILE"):
        made = await client.set_reference(version.model, version.number, samples, origin=origin)
    if not cli.as_json:
        cli.show(made, lambda: f"its reference is of {made.rows:,} rows")


async def _wait(cli: Cli, client: AsyncClient, version: Version, deadline: float) -> None:
    """Wait until every replica serves it, and say so."""
    with progress_bars(cli) as bars:
        bars(_LOADING)
        remaining = max(0.1, deadline - time.monotonic())
        await client.wait_until_ready(version.model, version.number, timeout_seconds=remaining)
    if not cli.as_json:
        cli.show(version, lambda: f"version {version.number} of {version.model} is served")


@contextmanager
def _told_without(version: Version, what: str, giving: str, option: str) -> Iterator[None]:
    """Have an error say that the version is there all the same, and how it gets what it lacks."""
    try:
        yield
    except HeadraceError as error:
        named = f"{version.model}/{version.number}"
        error.add_note(
            f"version {version.number} of {version.model} is pushed, without a {what}: "
            f"`headrace {giving} {named} {option}` gives it one"
        )
        raise


def _draw(bars: Bars, step: Progress) -> None:
    """Draw how far a push is; what waits or is checked has no measure."""
    measured = step.phase not in ("waiting", "checking")
    amount = f"{output.size(step.done_bytes)} of {output.size(step.total_bytes)}"
    bars(step.phase, step.done_bytes, step.total_bytes if measured else 0, amount)


def _signing_key(
    key: Path | None, certificate: Path | None, chain: list[Path], signature: Path | None
) -> SigningKey | None:
    """What to sign with, if anything. Raises typer.BadParameter for options that do not go together."""
    if key and signature:
        raise typer.BadParameter("--signature is a signature already: leave --sign-key out")
    if ((certificate or chain) and not key) or (chain and not certificate):
        raise typer.BadParameter(
            "--sign-chain goes with --sign-certificate, and that with --sign-key"
        )
    if key is None:
        return None
    from headrace.artifacts.signatures import SigningKey

    return SigningKey(key, certificate, tuple(chain))


def _named(name: str, path: Path | None) -> tuple[str, Path]:
    """The model's name and the path; a path alone gives the name, too. Raises typer.BadParameter."""
    from headrace.resource_names import check_model_name, nearest_model_name

    if path is not None:
        return check_model_name(name), path
    alone = Path(name)
    if not alone.exists():
        raise typer.BadParameter(f"there is no file or folder {name!r}: headrace push NAME PATH")
    stem = alone.resolve().name
    return check_model_name(
        nearest_model_name(stem if alone.is_dir() else stem.split(".")[0])
    ), alone


def read_config(path: Path, source: Path) -> Config:
    """A serving config from a JSON file or Triton's config.pbtxt. Raises typer.BadParameter."""
    if path.suffix == ".pbtxt":
        return _from_triton(path, source)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{path} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise typer.BadParameter(f'{path} is not a JSON object such as {{"instances": 2}}')
    return config


def _from_triton(path: Path, source: Path) -> Config:
    """Return what Triton's config says that a serving config can; the rest is listed on standard error.

    Where the graph is at hand, tensors that the config says otherwise are listed, too.
    """
    from headrace.triton.backends import check_backend
    from headrace.triton.pbtxt import read_config
    from headrace.triton.tensors import tensor_differences
    from headrace.triton.to_serving_config import carry_over
    from headrace.triton.to_serving_config_shapes import with_missing_ranks

    config = read_config(path)
    check_backend(config.name or str(path), config)
    carried = carry_over(config)
    graph = _graph_at(source)
    if graph is None:
        warn(carried.not_carried)
        return carried.serving_config
    warn((*carried.not_carried, *tensor_differences(config, graph)))
    return with_missing_ranks(carried.serving_config, config, graph)


def _graph_at(source: Path) -> GraphTensors | None:
    """The tensors of the graph that is pushed; None for archives, which only the registry opens."""
    from headrace.triton.graph import read_graph

    path = source / "model.onnx" if source.is_dir() else source
    return read_graph(path) if path.suffix == ".onnx" and path.is_file() else None
