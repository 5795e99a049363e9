"""`headrace verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.command import Cli, command
from headrace.cli.named_versions import OfVersion, VersionName, named

if TYPE_CHECKING:
    from headrace.artifacts.signature_policy import SignaturePolicy


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "verify")(verify)


def _file(text: str) -> object:
    return typer.Option(exists=True, dir_okay=False, help=text)


async def verify(
    cli: Cli,
    name: VersionName,
    version: OfVersion = "",
    public_key: Annotated[
        list[Path] | None, _file("A key that is trusted (PEM). May be repeated.")
    ] = None,
    certificate_authority: Annotated[
        list[Path] | None,
        _file("Certificates of authorities that are trusted (PEM). May be repeated."),
    ] = None,
    policy: Annotated[
        Path | None, _file("A signature policy, in place of keys and authorities.")
    ] = None,
) -> None:
    """See that a version is signed by one who is trusted, over the files that the registry has of it."""
    from headrace.artifacts import signatures

    keys, authorities = public_key or [], certificate_authority or []
    if bool(policy) == bool(keys or authorities):
        raise typer.BadParameter("give --public-key, --certificate-authority, or else --policy")
    signatures.require_library()
    rules = _policy(policy, keys, authorities)
    async with cli.client() as client:
        model, number = await named(client, name, version)
        found = await client.version(model, number)
    files = {file.path: file.sha256 for file in found.files}
    said = rules.check(model, found.signature_bundle, files) or "not signed, as the policy allows"
    facts = {"model": model, "version": number, "digest": found.digest, "verified": said}
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    cli.show(facts, lambda: f"version {number} of {model}: {said} ({count})")


def _policy(policy: Path | None, keys: list[Path], authorities: list[Path]) -> SignaturePolicy:
    from headrace.artifacts.signature_policy import Rule, SignaturePolicy, read_policy
    from headrace.artifacts.signatures import key_hint

    if policy is not None:
        return read_policy(policy)
    hints = {key_hint(key): key for key in keys}
    return SignaturePolicy((Rule(("*",), hints, tuple(authorities)),))
