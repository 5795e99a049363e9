"""`headrace certs`: a private authority and its certificates, for trials and private networks."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output

if TYPE_CHECKING:
    from headrace.tls.certificate_folder import CertificateFolder, Entry

LEAF_DAYS = 90.0
AUTHORITY_DAYS = 5 * 365.0
_HERE = ("localhost", "127.0.0.1", "::1")

Folder = Annotated[
    Path,
    typer.Option("--folder", help="Where the authority and its certificates are.", file_okay=False),
]
Days = Annotated[float, typer.Option(help="How long it is valid.", min=0.001)]
Hosts = Annotated[
    list[str] | None,
    typer.Option(
        "--host",
        help="A host's name or address to be called by; several times.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def register(app: typer.Typer) -> None:
    """Add the command with its own commands."""
    group = typer.Typer(
        help="Make a private authority and certificates, for trials and private networks.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
    )
    group.command("create")(create)
    group.command("issue")(issue)
    group.command("renew")(renew)
    group.command("list")(list_all)
    app.add_typer(group, name="certs")


def create(
    ctx: typer.Context,
    folder: Folder = Path("certs"),
    host: Hosts = None,
    days: Days = LEAF_DAYS,
    authority_days: Days = AUTHORITY_DAYS,
    as_json: AsJson = False,
) -> None:
    """Make an authority, `ca`, and a certificate for servers on this machine, `server`.

    Whoever has ca.key can be anybody to those who trust ca.pem: keep it where no service runs.
    """
    made = _folder(folder)
    hosts = [*_HERE, socket.gethostname(), *(host or ())]
    made.create(timedelta(days=authority_days))
    made.issue("server", _names(list(dict.fromkeys(hosts)), ()), timedelta(days=days), serves=True)
    ca, certificate, key = made.certificate("ca"), made.certificate("server"), made.key("server")
    lines = [
        f"made {ca}, for whoever calls, and {certificate} for servers",
        f"next: headrace up --tls-cert {certificate} --tls-key {key} --tls-ca {ca}",
    ]
    _show(ctx, made, ["server"], lines, as_json=as_json)


def issue(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What its files are called, such as alice.")],
    folder: Folder = Path("certs"),
    host: Hosts = None,
    uri: Annotated[
        list[str] | None,
        typer.Option(
            help="Who it stands for; several times. [default: spiffe://headrace/NAME for a client]",
            show_default=False,
        ),
    ] = None,
    server: Annotated[
        bool, typer.Option(help="For a server, which may call others, too; needs --host.")
    ] = False,
    days: Days = LEAF_DAYS,
    as_json: AsJson = False,
) -> None:
    """Make a certificate for a client, or with --server for a server."""
    if server and not host:
        raise typer.BadParameter("--server needs --host: clients compare the host that they call")
    made = _folder(folder)
    uris = uri if uri or server else [f"spiffe://headrace/{name}"]
    names = _names(host or [], uris or ())
    made.issue(name, names, timedelta(days=days), serves=server)
    lines = [f"made {made.certificate(name)} and {made.key(name)}: {', '.join(names.all())}"]
    _show(ctx, made, [name], lines, as_json=as_json)


def renew(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Which; all of the folder without one.", show_default=False),
    ] = None,
    folder: Folder = Path("certs"),
    days: Days = LEAF_DAYS,
    as_json: AsJson = False,
) -> None:
    """Replace certificates by new ones with the same names: services take them without a restart."""
    made = _folder(folder)
    wanted = names or [entry.name for entry in made.entries()]
    for name in wanted:
        made.renew(name, timedelta(days=days))
    _show(
        ctx, made, wanted, [f"renewed {made.certificate(name)}" for name in wanted], as_json=as_json
    )


def list_all(ctx: typer.Context, folder: Folder = Path("certs"), as_json: AsJson = False) -> None:
    """List the certificates, with their names and their ends."""
    made = _folder(folder)
    entries = list(made.entries())
    _show(
        ctx,
        made,
        [entry.name for entry in entries],
        [_line(entry) for entry in entries],
        as_json=as_json,
    )


def _folder(path: Path) -> CertificateFolder:
    """Raises FailedPrecondition (CERTIFICATES_UNAVAILABLE) where the package for it is not installed."""
    from headrace.tls.certificate_folder import CertificateFolder

    return CertificateFolder(path)


def _names(hosts: list[str], uris: Any) -> Any:
    from headrace.tls.certificate_folder import names_from

    return names_from(hosts, uris)


def _line(entry: Entry) -> str:
    kind = "server" if entry.serves else "client"
    return f"{entry.name}  {kind}  until {_date(entry.validity.not_after)}  {', '.join(entry.names.all())}"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _show(
    ctx: typer.Context,
    made: CertificateFolder,
    names: list[str],
    lines: list[str],
    *,
    as_json: bool,
) -> None:
    document = {
        "ca": str(made.certificate("ca")),
        "ca_not_after": made.authority_validity().not_after,
        "certificates": [_as_json(made, name) for name in names],
    }
    as_json = as_json or bool((ctx.obj or {}).get("as_json"))
    output.show(document, as_json=as_json, human=lambda: lines)


def _as_json(made: CertificateFolder, name: str) -> dict[str, object]:
    entry = made.entry(name)
    return {
        "name": name,
        "certificate": str(made.certificate(name)),
        "key": str(made.key(name)),
        "names": entry.names.all(),
        "server": entry.serves,
        "not_after": entry.validity.not_after,
    }
