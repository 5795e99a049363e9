"""`headrace login`: keep where a suite is, and the key to it, under a name."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli import whoami
from headrace.cli.command import Cli, command

if TYPE_CHECKING:
    from headrace.client import CallerInfo
    from headrace.profiles import Profile


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "login")(login)


async def login(
    cli: Cli,
    name: Annotated[str, typer.Option(help="The profile's name.")] = "default",
    no_key: Annotated[
        bool,
        typer.Option("--no-key", help="Without a key: by a client certificate, or as nobody."),
    ] = False,
) -> None:
    """Keep the addresses and TLS files that are given, and a key, as a profile, which is used from then on.

    The key is asked for, or read from standard input; with --token-file the profile reads that file, each
    time it is used. It is kept where the registry knows it alone, and in a file that only you can read.
    """
    from headrace import profiles

    where, found = profiles.folder(os.environ), None
    found = profiles.read(where)
    profile = _profile(cli)
    if not profile.token_file and not no_key:
        file = where / "keys" / f"{profiles.check_name(name)}.key"
        caller = await _try_key(cli, profile, file, _read_key())
        profile = replace(profile, token_file=str(file))
    else:
        profiles.check_name(name)
        caller = await _caller(cli, profile)
    profiles.write(where, profiles.Profiles({**found.named, name: profile}, name))
    document = {"profile": name, "caller": caller}
    cli.show(document, lambda: [f"logged in; profile {name} is used now", *whoami.lines(caller)])


def _profile(cli: Cli) -> Profile:
    """What is given, by options or the environment, but not by a profile."""
    from headrace.client import read_client_settings
    from headrace.profiles import Profile

    given = {name: getattr(cli, name) for name in _NAMES}
    settings = read_client_settings(**given)
    plain, found = read_client_settings({}), {}
    for name in _NAMES:
        value = getattr(settings, name)
        if name == "registry" or value != getattr(plain, name):
            found[name] = str(value.absolute()) if isinstance(value, Path) else str(value)
    return Profile(**found)


_NAMES = ("registry", "inference", "monitor", "tls_ca", "tls_cert", "tls_key", "token_file")


def _read_key() -> str:
    """The key from a person or from standard input, never from an argument: everybody can read those."""
    if sys.stdin.isatty():
        text = str(typer.prompt("API key or token", hide_input=True, err=True))
    else:
        text = sys.stdin.readline()
    key = text.strip()
    if not key or not key.isascii() or " " in key:
        raise typer.BadParameter("no key was given: one line, hr_... or a JWT, or say --no-key")
    return key


async def _try_key(cli: Cli, profile: Profile, file: Path, key: str) -> CallerInfo:
    """Keep the key if the registry takes it. Raises Unauthenticated and what calls raise."""
    from headrace import profiles

    new = file.with_name(f".{file.name}.new")
    profiles.write_private(new, key + "\n")
    try:
        caller = await _caller(cli, replace(profile, token_file=str(new)))
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
    return caller


async def _caller(cli: Cli, profile: Profile) -> CallerInfo:
    known = {
        name: Path(value) if name.startswith(("tls", "token")) else value
        for name, value in profile.settings().items()
    }
    async with replace(cli, **known).client() as client:  # type: ignore[arg-type]  # by their names
        return await client.caller()
