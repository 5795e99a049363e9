"""Completes the names of models, versions and aliases in a shell, where a suite answers at once."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from headrace.client import AsyncClient

PATIENCE_SECONDS = 0.5
"""Nobody waits longer for a name after the key; without a suite, a refused connection answers sooner."""

Ask = Callable[["AsyncClient"], Awaitable[list[str]]]


def model_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The models whose names begin so; none, without a word, where no registry answers."""

    async def ask(client: AsyncClient) -> list[str]:
        return [model.name for model in await client.models()]

    return [name for name in _answer(ctx, ask) if name.startswith(incomplete)]


def callable_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The same, and behind an '@' the model's aliases."""
    model, at, _ = incomplete.partition("@")
    if not at:
        return model_names(ctx, incomplete)

    async def ask(client: AsyncClient) -> list[str]:
        return [f"{model}@{alias.name}" for alias in await client.aliases(model)]

    return [name for name in _answer(ctx, ask) if name.startswith(incomplete)]


def version_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The numbers, newest first, and the aliases of the model that the command line names before."""
    model = str(ctx.params.get("name") or _first_word(ctx)).partition("@")[0]
    if not model:
        return []

    async def ask(client: AsyncClient) -> list[str]:
        versions = [str(version.number) for version in await client.versions(model)]
        return versions + [alias.name for alias in await client.aliases(model)]

    return [name for name in _answer(ctx, ask) if name.startswith(incomplete)]


def _first_word(ctx: typer.Context) -> str:
    """The first argument of the command, which Typer does not know while an option lacks its value."""
    words = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    _, _, behind = words.partition(f" {ctx.info_name} ")
    return next((word for word in behind.split() if not word.startswith("-")), "")


def _answer(ctx: typer.Context, ask: Ask) -> list[str]:
    """Return what the registry that the command line names says in time."""
    import asyncio

    from headrace import errors
    from headrace.client import AsyncClient, read_client_settings

    async def within_patience() -> list[str]:
        settings = read_client_settings(
            registry=_given(ctx, "registry"), first_contact_seconds=PATIENCE_SECONDS / 2
        )
        async with asyncio.timeout(PATIENCE_SECONDS), AsyncClient(settings=settings) as client:
            return await ask(client)

    try:
        return asyncio.run(within_patience())
    except (errors.HeadraceError, TimeoutError, ValueError):  # ValueError: settings that are wrong
        return []


def _given(ctx: typer.Context, option: str) -> str | None:
    """A common option, behind the command or before it."""
    before = ctx.find_root().params
    value = ctx.params.get(option) or before.get(option)
    return str(value) if value else None
