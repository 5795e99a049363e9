"""`headrace import`: models from elsewhere, each kind a command of its own."""

from __future__ import annotations

import typer

from headrace.cli import import_gguf, import_triton


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(
        help="Bring models from other servers, and of other formats.", no_args_is_help=True
    )
    app.add_typer(group, name="import")
    import_triton.register(group)
    import_gguf.register(group)
