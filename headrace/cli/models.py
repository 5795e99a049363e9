"""`headrace models`."""

from __future__ import annotations

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "models")
    async def models(cli: Cli) -> None:
        """List the models."""
        async with cli.client() as client:
            found = await client.models()
        rows = [
            (
                model.name,
                model.kind or "-",
                model.last_version,
                output.moment(model.created_at),
                model.description,
            )
            for model in found
        ]
        columns = ("model", "kind", "newest>", "created", "description")
        nothing = (
            "no models yet, or none that you may read (`headrace whoami`): `headrace push NAME model.onnx` "
            "brings one in"
        )
        cli.show({"models": found}, lambda: output.table(columns, rows) if rows else nothing)
