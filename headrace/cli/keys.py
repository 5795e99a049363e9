"""`headrace keys`: API keys, made, listed, replaced and revoked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli import output
from headrace.cli.arguments import Patterns
from headrace.cli.command import Cli, command
from headrace.cli.durations import seconds_in

if TYPE_CHECKING:
    from headrace.client import ApiKey, NewApiKey

Subject = Annotated[str, typer.Argument(help="Who calls with the key, such as alice or ci-fraud.")]
KeyId = Annotated[
    str, typer.Argument(metavar="ID", help="The key's id: 8 characters, after 'hr_' in the key.")
]
Ttl = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="When it ends: 90d, 12h. [default: never]"),
]
Roles = Annotated[
    list[str] | None,
    typer.Option(help="A role to grant to the subject; several times.", show_default=False),
]
Admin = Annotated[bool, typer.Option("--admin", help="The same as --role admin, for all models.")]
Note = Annotated[str, typer.Option(help="For people, up to 256 characters.")]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Without a server: leave the key for the registry in this data folder, of a suite or of a "
        "registry. So the first admin's key is made.",
        file_okay=False,
        show_default=False,
    ),
]
RightsFile = Annotated[
    Path | None,
    typer.Option(
        help="Without a server: add the key and its roles to this file, for `headrace serve-folder "
        "--rights-file`.",
        dir_okay=False,
        show_default=False,
    ),
]
_COLUMNS = ("id", "subject", "state", "created", "ends", "last used", "by", "note")


def register(app: typer.Typer) -> None:
    """Add the command with its own commands."""
    group = typer.Typer(
        help="API keys: they say who calls. What a caller may do is granted to its subject.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
    )
    for name, function in (
        ("create", create),
        ("list", list_all),
        ("rotate", rotate),
        ("revoke", revoke),
    ):
        command(group, name, changes=name != "list")(function)
    app.add_typer(group, name="keys")


async def create(
    cli: Cli,
    subject: Subject,
    role: Roles = None,
    models: Patterns = None,
    admin: Admin = False,
    ttl: Ttl = None,
    note: Note = "",
    data: Data = None,
    rights_file: RightsFile = None,
) -> None:
    """Make an API key, and print it, alone, on standard output: `> alice.key` keeps it. It is shown once.

    A subject has two live keys at most, so that one can take the other's place.
    """
    if admin and models:
        raise typer.BadParameter("--admin is for all models: give --role admin with --models")
    grants = dict.fromkeys([*(role or ()), *(["admin"] if admin else ())], models or [])
    seconds = seconds_in(ttl, "--ttl")
    if rights_file is not None and (data is not None or note):
        raise typer.BadParameter("--rights-file goes without --data, and keeps no --note")
    if rights_file is not None:
        from headrace.cli.first_key import write_key

        made = write_key(rights_file, subject, grants, seconds)
        _show(cli, made, grants, f"added to {rights_file}")
        return
    if data is not None:
        from headrace.cli.first_key import leave_key

        made = leave_key(data, subject, grants, seconds, note)
        _show(cli, made, grants, f"left in {data} for its registry to take in{_unless_new(data)}")
        return
    async with cli.client() as client:
        made = await client.create_api_key(subject, ttl_seconds=seconds, note=note, grants=grants)
    _show(cli, made, grants, "works now")


async def list_all(
    cli: Cli,
    subject: Annotated[str, typer.Argument(help="Only those of this subject.")] = "",
) -> None:
    """List API keys without their secrets, also those that ended in the last 30 days."""
    async with cli.client() as client:
        found = await client.api_keys(subject)
    nothing = "no API keys: `headrace keys create SUBJECT` makes one"
    cli.show(
        {"keys": found},
        lambda: output.table(_COLUMNS, map(_row, found)) if found else nothing,
    )


async def rotate(
    cli: Cli,
    key_id: KeyId,
    overlap: Annotated[
        str,
        typer.Option(metavar="DURATION", help="How long the present key goes on; 0: it ends now."),
    ] = "1d",
    ttl: Ttl = None,
) -> None:
    """Make another key for a key's subject, and print it, alone; the present one ends after the overlap."""
    async with cli.client() as client:
        made = await client.rotate_api_key(
            key_id,
            overlap_seconds=seconds_in(overlap, "--overlap"),
            ttl_seconds=seconds_in(ttl, "--ttl"),
        )
    former = made.former
    ends = f"; {former.id} ends {output.moment(former.expires_at)}" if former else ""
    _show(cli, made, {}, f"works now{ends}")


async def revoke(cli: Cli, key_id: KeyId) -> None:
    """Revoke an API key, for ever; replicas refuse it within a second."""
    async with cli.client() as client:
        revoked = await client.revoke_api_key(key_id)
    cli.show(revoked, lambda: f"revoked {revoked.id} of {revoked.subject}")


def _unless_new(data: Path) -> str:
    from headrace.cli.first_key import is_new

    return f" (nothing ran there yet: `headrace up --auth --data {data}`)" if is_new(data) else ""


def _show(cli: Cli, made: NewApiKey, grants: dict[str, list[str]], state: str) -> None:
    """Print the secret where it can be kept, and the rest where it does not get into the file."""
    if cli.as_json:
        output.print_json(made)
        return
    roles = f", with {', '.join(grants)}" if grants else ""
    print(
        f"API key {made.key.id} of {made.key.subject}{roles}: {state}. It is not shown again.",
        file=sys.stderr,
    )
    print(made.secret, flush=True)


def _row(key: ApiKey) -> tuple[str, ...]:
    state = "live" if key.live else "revoked" if key.revoked else "ended"
    return (
        key.id,
        key.subject,
        state,
        output.moment(key.created_at),
        output.moment(key.expires_at) if key.expires_at else "never",
        key.last_used_on or "-",
        key.created_by,
        key.note,
    )
