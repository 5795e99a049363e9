"""`headrace import triton`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command
from headrace.cli.insistence import AllowSignatureChange
from headrace.cli.push import WAIT_SECONDS
from headrace.cli.unsupported_fields import describe

if TYPE_CHECKING:
    from headrace.client import AsyncClient
    from headrace.triton.importing import ImportedModel, ImportedVersion

COLUMNS = ("model", "triton>", "version>", "what", "digest")


Repository = Annotated[
    Path, typer.Argument(exists=True, file_okay=False, help="Triton's model repository.")
]
Models = Annotated[
    list[str] | None, typer.Option(help="A model to import; without any, all. Once for each.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would be done; needs no registry.")
]
Wait = Annotated[
    bool, typer.Option("--wait", help="Wait until every replica serves what was pushed.")
]
SignKey = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Sign versions with this private key (PEM)."),
]


def register(group: typer.Typer) -> None:
    """Add the commands of Triton's models."""
    command(group, "triton", changes=True)(triton)
    command(group, "triton-access")(triton_access)


async def triton(
    cli: Cli,
    repository: Repository,
    model: Models = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    sign_key: SignKey = None,
    allow_signature_change: AllowSignatureChange = False,
) -> None:
    """Import Triton's models: versions, labels, batching, instances, warm-up, session options.

    Versions get Headrace's own numbers, in order; the route answers with the highest as soon as it is
    served and if it does not break callers. What cannot be
    carried over is listed. It can be repeated: what is there already is not pushed again. Exit status 1
    if anything was not imported.
    """
    if dry_run and (wait or allow_signature_change):
        raise typer.BadParameter(
            "--dry-run changes nothing: it goes without --wait and --allow-..."
        )
    from headrace.artifacts.signatures import SigningKey
    from headrace.triton.importing import import_model
    from headrace.triton.repository import model_folders

    folders = model_folders(repository, tuple(model or ()))
    imported: list[ImportedModel] = []
    async with cli.client() as client:
        for folder in folders:
            target = None if dry_run else client
            imported.append(
                await import_model(
                    target,
                    folder,
                    cli.timeout_seconds,
                    allow_signature_change=allow_signature_change,
                    signing_key=None if sign_key is None else SigningKey(sign_key),
                )
            )
            if not cli.as_json:
                cli.show(imported[-1], lambda: _lines(imported[-1]))
        if cli.as_json:
            cli.show({"models": imported}, lambda: "")
        if wait and not dry_run:
            await _wait(client, imported, cli.timeout_seconds or WAIT_SECONDS)
    if any(each.failed for each in imported):
        raise typer.Exit(1)


async def triton_access(
    cli: Cli,
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="A file with the server's command line."),
    ],
) -> None:
    """Say how Triton's restricted protocols go on here: lines of the identity file, and grants.

    It changes nothing. The file has --grpc-restricted-protocol and --http-restricted-api as Triton's server
    gets them; their values are shown as digests alone. Triton's clients then go on as they are.
    """
    from headrace.triton.restricted import access_of, restrictions_in

    access = access_of(restrictions_in(file.read_text()))

    def lines() -> list[Any]:
        shown: list[Any] = ["# for the identity file (--identity-file)", access.identity_file]
        shown += ["# then", *access.commands]
        return [*shown, *(f"# {remark}" for remark in access.remarks)]

    cli.show(access, lines)


async def _wait(client: AsyncClient, imported: list[ImportedModel], seconds: float) -> None:
    for each in imported:
        for version in each.versions:
            if version.action == "pushed":
                await client.wait_until_ready(each.model, version.number, timeout_seconds=seconds)


def _lines(imported: ImportedModel) -> list[Any]:
    """A table of the versions, the route, and what was not carried over."""
    rows = [_row(imported.model, version) for version in imported.versions]
    lines: list[Any] = [output.table(COLUMNS, rows)] if rows else []
    if imported.stable:
        lines.append(f"{imported.model}: requests without a version go to {imported.stable}")
    lines += [f"  {line}" for line in describe(imported.not_carried)]
    if imported.failure is not None:
        what = "the route stays" if imported.stable else "not imported"
        said = f"{imported.failure.message} [{imported.failure.reason}]"
        lines.append(f"{imported.model}: {what}: {said}")
    return lines


def _row(model: str, version: ImportedVersion) -> tuple[object, ...]:
    failure = version.failure
    what = version.action if failure is None else f"failed: {failure.message} [{failure.reason}]"
    return model, version.triton_version, version.number or "-", what, version.digest[:12] or "-"
