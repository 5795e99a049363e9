"""`headrace redis-acl`: the users that the server of the shared state needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("redis-acl")(redis_acl)


def redis_acl(
    namespace: Annotated[str, typer.Option(help="The namespace of the suite.")] = "default",
    server: Annotated[
        Literal["7.0", "7.2"],
        typer.Option(help="The server: Redis 7.0, or Redis 7.2 and later and Valkey."),
    ] = "7.2",
    registry_password_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The file with the registry's password."),
    ] = None,
    suite_password_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The file with that of `headrace up`."),
    ] = None,
    replica_password_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The file with the replicas' password."),
    ] = None,
) -> None:
    """Print lines for the ACL file of a Redis server: users that may do what Headrace needs, and no more.

    Lines hold digests of the passwords, never these. Without a password all users are printed, and off.
    """
    from headrace.state.redis_acl import acl_file

    files = {
        "registry": registry_password_file,
        "replica": replica_password_file,
        "suite": suite_password_file,
    }
    given = {name: file.read_text().rstrip("\r\n") for name, file in files.items() if file}
    try:
        print(acl_file(namespace, server, given), end="")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
