"""`headrace status`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from headrace import errors
from headrace.cli import output
from headrace.cli.arguments import OnlyModelName
from headrace.cli.command import Cli, command
from headrace.cli.error_report import printable

if TYPE_CHECKING:
    from headrace.client import Alias, AsyncClient, Model, Route
    from headrace.state.records import ReplicaRecord

MODEL_COLUMNS = ("model", "kind", "newest>", "stable>", "canary", "previous>", "aliases")
VERSION_COLUMNS = ("model", "version>", "replica", "state", "provider", "memory>", "reason")
REPLICA_COLUMNS = ("replica", "stage", "grpc", "rest", "devices", "revision>")


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model with its route, None before its first version, and its aliases."""

    model: Model
    route: Route | None
    aliases: list[Alias]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "status")(status)


async def status(cli: Cli, name: OnlyModelName = "") -> None:
    """Show the models with their routes and aliases, and every version on every replica."""
    async with cli.client() as client:
        models = [await client.model(name)] if name else await client.models()
        found = [
            each
            for each in await asyncio.gather(*(_model_status(client, model) for model in models))
            if each is not None
        ]
        replicas = await client.replicas(model=name)
    cli.show({"models": found, "replicas": replicas}, lambda: _tables(found, replicas))


async def _model_status(client: AsyncClient, model: Model) -> ModelStatus | None:
    try:
        aliases = await client.aliases(model.name)
        return ModelStatus(model, await _route(client, model.name), aliases)
    except errors.NotFound:  # deleted since it was listed
        return None


async def _route(client: AsyncClient, model: str) -> Route | None:
    try:
        return await client.route(model)
    except errors.FailedPrecondition:  # no version yet
        return None


def _tables(found: list[ModelStatus], replicas: list[ReplicaRecord]) -> list[Any]:
    rows = sorted(_version_rows(replicas))
    return [
        output.table(MODEL_COLUMNS, [_model_row(each) for each in found]),
        "",
        output.table(VERSION_COLUMNS, rows) if rows else "no replica holds a version",
        "",
        output.table(REPLICA_COLUMNS, [_replica_row(replica) for replica in replicas])
        if replicas
        else "no replica is there",
        *(printable(f"{each.id}: {each.problem}") for each in replicas if each.problem),
    ]


def _model_row(each: ModelStatus) -> tuple[object, ...]:
    return (
        each.model.name,
        each.model.kind or "-",
        each.model.last_version,
        each.route.stable if each.route else "-",
        _trials(each.route) or "-",
        (each.route.previous if each.route else None) or "-",
        ", ".join(f"{alias.name}={alias.version}" for alias in each.aliases) or "-",
    )


def _trials(route: Route | None) -> str:
    """The canaries with their weights, and the shadow with its share."""
    if route is None:
        return ""
    canaries = [one for one in (route.canary, *route.more_canaries) if one is not None]
    said = [f"{one.version} ({one.weight_percent:g} %)" for one in canaries]
    if route.shadow is not None:
        said.append(f"{route.shadow.version} (shadow, {route.shadow.share_percent:g} %)")
    return ", ".join(said)


def _version_rows(replicas: list[ReplicaRecord]) -> Iterator[tuple[Any, ...]]:
    for replica in replicas:
        for version in replica.versions:
            memory = output.size(version.memory_bytes) if version.memory_bytes else "-"
            head = (version.model, version.number, replica.id)
            yield (*head, version.state, version.provider or "-", memory, version.reason)


def _replica_row(replica: ReplicaRecord) -> tuple[object, ...]:
    return (
        replica.id,
        replica.stage,
        replica.grpc_address,
        replica.http_address,
        ", ".join(replica.devices),
        replica.applied_revision,
    )
