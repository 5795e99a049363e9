"""Brings what `headrace serve` is given into a suite: pushed where it is new, and the route's answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from headrace import errors
from headrace.model_calls.example_inputs import ExampleTensor, example_inputs
from headrace.resource_names import nearest_model_name

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Version
    from headrace.client.push import Config

WAIT_SECONDS = 900.0
"""How long a push, and then the loading, may take."""
_TRY_SECONDS = 20.0
_MOST_TRIES = 12
_MARK = "headrace serve: sha256 "


@dataclass(frozen=True, slots=True)
class Source:
    """Something to serve: its model's name, and where it lies."""

    name: str
    path: Path
    is_triton: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """A model that answers: its version, and inputs that it takes, None where none was found."""

    version: Version
    is_new: bool
    example: tuple[ExampleTensor, ...] | None = None
    speaks_json: bool = True


def sources_of(paths: Sequence[Path], name: str = "") -> list[Source]:
    """The models at paths: graphs, archives and folders by their own names, and Triton's models by theirs.

    Raises typer.BadParameter for two of one name, and for a folder of several graphs.
    """
    found = [source for path in paths for source in _sources_at(path, name)]
    names = [source.name for source in found]
    twice = {each for each in names if names.count(each) > 1}
    if twice:
        raise typer.BadParameter(
            f"two models would be called {min(twice)!r}: rename one, or serve it alone with --name"
        )
    return found


def _sources_at(path: Path, name: str) -> Iterator[Source]:
    graphs = [graph.name for graph in path.glob("*.onnx")] if path.is_dir() else []
    if len(graphs) > 1 and "model.onnx" not in graphs:
        raise typer.BadParameter(
            f"{path} has {len(graphs)} .onnx files: serve them as models with `headrace serve "
            f"{path}/*.onnx`, or call the one that is the model model.onnx"
        )
    if path.is_dir() and not graphs:
        folders = (
            [path] if _is_triton_model(path) else sorted(filter(_is_triton_model, path.iterdir()))
        )
        if folders:
            yield from (Source(folder.name, folder, is_triton=True) for folder in folders)
            return
    whole = path.absolute()
    stem = whole.name if whole.is_dir() else whole.name.split(".")[0]
    yield Source(name or nearest_model_name(stem) or "model", path)


def _is_triton_model(folder: Path) -> bool:
    """Return whether there are versions below, with a graph or a config beside them."""
    if not folder.is_dir():
        return False
    versions = [each for each in folder.iterdir() if each.name.isdigit() and each.is_dir()]
    return bool(versions) and (
        (folder / "config.pbtxt").exists() or any(any(each.glob("*.onnx")) for each in versions)
    )


def fingerprint(source: Source, config: Config | None) -> str:
    """A digest of what would be pushed. Raises InvalidArgument for what cannot be."""
    from headrace.client.artifact import open_artifact
    from headrace.client.push import config_to_proto

    with open_artifact(source.path, lambda _: None) as artifact:
        digest = hashlib.sha256(artifact.sha256(lambda _: None).encode())
    if config is not None:
        digest.update(config_to_proto(config).SerializeToString(deterministic=True))
    return digest.hexdigest()


async def bring_in(client: AsyncClient, source: Source, config: Config | None) -> Served:
    """Push what is not there yet, let the route answer with it, and wait until it is served."""
    if source.is_triton:
        return await _import(client, source)
    mark = _MARK + await asyncio.to_thread(fingerprint, source, config)
    version = await _find(client, source.name, mark)
    is_new = version is None
    if version is None:
        version = await client.push(
            source.name, source.path, config=config, description=mark, timeout_seconds=WAIT_SECONDS
        )
    else:
        await _let_it_answer(
            client, version
        )  # replicas load an older one only when a route names it
    await client.wait_until_ready(source.name, version.number, timeout_seconds=WAIT_SECONDS)
    await _let_it_answer(client, version)
    return Served(version, is_new)


async def _find(client: AsyncClient, name: str, mark: str) -> Version | None:
    try:
        versions = await client.versions(name)
    except errors.NotFound:
        return None
    return next((version for version in versions if version.description == mark), None)


async def _let_it_answer(client: AsyncClient, version: Version) -> None:
    from headrace.client.route_changes import with_changes

    route = await client.route(version.model)
    if route.stable != version.number:
        moved = with_changes(route, stable=version.number)
        await client.put_route(moved, allow_signature_change=True, allow_unready=True)


async def _import(client: AsyncClient, source: Source) -> Served:
    from headrace.triton.importing import import_model

    imported = await import_model(client, source.path, WAIT_SECONDS, allow_signature_change=True)
    failures = [imported.failure, *(each.failure for each in imported.versions)]
    for failure in failures:
        if failure is not None:
            raise errors.InvalidArgument(failure.reason, f"{source.name}: {failure.message}")
    await client.wait_until_ready(source.name, imported.stable, timeout_seconds=WAIT_SECONDS)
    version = await client.version(source.name, imported.stable)
    return Served(version, any(each.action == "pushed" for each in imported.versions))


async def with_example(client: AsyncClient, served: Served, http: str) -> Served:
    """The same with inputs that the model answers: over REST if it can, else over gRPC.

    A model of text is not tried: its calls are all alike, and an answer takes long.
    """
    if served.version.language is not None:
        return served
    examples = list(example_inputs(served.version.signature))[:_MOST_TRIES]
    model = served.version.model
    for example in examples:
        if await asyncio.to_thread(_answers_json, model, http, example):
            return Served(served.version, served.is_new, example)
    for example in examples:
        if await _answers(client, model, example):
            return Served(served.version, served.is_new, example, speaks_json=False)
    return served


def _answers_json(model: str, http: str, example: Sequence[ExampleTensor]) -> bool:
    body = json.dumps({tensor.name: tensor.values() for tensor in example}).encode()
    request = urllib.request.Request(f"http://{http}/v2/models/{model}/generate", body)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TRY_SECONDS) as response:
            response.read()
    except OSError:  # refused, as urllib says it, or over time
        return False
    return True


async def _answers(client: AsyncClient, model: str, example: Sequence[ExampleTensor]) -> bool:
    inputs = {tensor.name: tensor.values() for tensor in example}
    try:
        await client.infer(model, inputs, timeout_seconds=_TRY_SECONDS)
    except errors.HeadraceError:
        return False
    return True
