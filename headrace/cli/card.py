"""`headrace card`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.command import Cli, command
from headrace.cli.described import described
from headrace.cli.error_report import printable
from headrace.cli.named_versions import VersionName, named
from headrace.state.annotation_records import CARD_PATH

if TYPE_CHECKING:
    from headrace.client import AsyncClient


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "card")(card)


async def card(
    cli: Cli,
    name: VersionName,
    draft: Annotated[
        bool, typer.Option("--draft", help="Make a draft of what is known, whatever is attached.")
    ] = False,
) -> None:
    """Print the model card of a version, Markdown: the one that is attached, or else a draft.

    `headrace card NAME --draft > card.md`, answer its questions, `headrace annotate NAME --card card.md`.
    """
    async with cli.client() as client:
        model, version = await named(client, name)
        attached = None if draft else await _attached(client, model, version)
        text = attached if attached is not None else await _drafted(client, model, version)
    shown = {
        "model": model,
        "version": version,
        "draft": attached is None,
        "card": text,
    }
    if cli.as_json:
        cli.show(shown, lambda: text)
    else:
        _write(text)


def _write(text: str) -> None:
    """Write it as it is, but to a terminal nothing that one would obey: others wrote it."""
    if sys.stdout.isatty():
        text = "\n".join(printable(line.expandtabs()) for line in text.splitlines())
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


async def _attached(client: AsyncClient, model: str, version: int) -> str | None:
    said = await client.annotations(model, version)
    if said.attachment(CARD_PATH) is None:
        return None
    return (await client.attachment(model, version, CARD_PATH)).decode("utf-8", "replace")


async def _drafted(client: AsyncClient, model: str, version: int) -> str:
    from headrace.lifecycle.versions.model_card import draft_card

    known = await described(client, model, version)
    aliases = [each.name for each in await client.aliases(model) if each.version == version]
    return draft_card(known, aliases)
