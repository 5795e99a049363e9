"""`headrace grant`, `headrace revoke` and `headrace grants`: who has which roles, and limits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli import output
from headrace.cli.arguments import Patterns
from headrace.cli.command import Cli, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headrace.client import Binding, CallLimits, Grant

Subject = Annotated[
    str,
    typer.Argument(
        help="Of an API key alice, of a JWT ISSUER:SUB, of a certificate spiffe://...; anonymous: whoever "
        "brings nothing."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "grant", changes=True)(grant)
    command(app, "revoke", changes=True)(revoke)
    command(app, "grants")(grants)


async def grant(
    cli: Cli,
    subject: Subject,
    role: Annotated[
        str, typer.Argument(help="The role; without one, only limits are set.", metavar="[ROLE]")
    ] = "",
    models: Patterns = None,
    limit_requests: Annotated[
        float | None,
        typer.Option(
            help="At most so many requests a second at each replica; 0: no limit.",
            min=0,
            show_default=False,
        ),
    ] = None,
    limit_rows: Annotated[
        float | None,
        typer.Option(
            help="At most so many rows a second at each replica.", min=0, show_default=False
        ),
    ] = None,
    limit_in_flight: Annotated[
        int | None,
        typer.Option(
            help="At most so many requests at a time at each replica.", min=0, show_default=False
        ),
    ] = None,
) -> None:
    """Grant a role to a subject, for all models or some; or set its limits. Grants of a role add up."""
    given = {
        "requests_per_second": limit_requests,
        "rows_per_second": limit_rows,
        "in_flight": limit_in_flight,
    }
    limits = {name: value for name, value in given.items() if value is not None}
    if not role and (models or not limits):
        raise typer.BadParameter("name a ROLE, or set --limit-requests, -rows or -in-flight")
    async with cli.client() as client:
        present = await client.bindings(subject) if limits or not models else []
        if not models:
            _check_widens_nothing(present, role)
        wanted = _limits(present, limits) if limits else None
        changed = await client.grant_role(subject, role, models or (), limits=wanted)
    cli.show(changed, lambda: _lines(changed))


async def revoke(
    cli: Cli, subject: Subject, role: Annotated[str, typer.Argument(help="The role.")]
) -> None:
    """Take a role from a subject; `headrace keys revoke ID` ends a key."""
    async with cli.client() as client:
        changed = await client.revoke_role(subject, role)
    cli.show(changed, lambda: _lines(changed))


async def grants(
    cli: Cli, subject: Annotated[str, typer.Argument(help="Only this subject's.")] = ""
) -> None:
    """List what subjects have: roles, for which models, and limits."""
    async with cli.client() as client:
        found = await client.bindings(subject)
    rows = [
        (each.subject, one.role, ",".join(one.models), _limited(each.limits))
        for each in found
        for one in each.grants or (_no_grant(),)
    ]
    nothing = "no grants: `headrace grant SUBJECT ROLE` makes one"
    columns = ("subject", "role", "models", "limits")
    cli.show({"bindings": found}, lambda: output.table(columns, rows) if rows else nothing)


def _check_widens_nothing(present: Sequence[Binding], role: str) -> None:
    """A role for some models becomes one for all of them only where that is said."""
    for each in (one for binding in present for one in binding.grants if one.role == role):
        if each.models != ("*",):
            raise typer.BadParameter(
                f"{present[0].subject} has {role} for {', '.join(each.models)}: --models '*' makes it one "
                "for all models; without a ROLE, limits alone are set"
            )


def _limits(present: Sequence[Binding], given: dict[str, float]) -> CallLimits:
    """The limits that a subject has, with those that are given."""
    from headrace.client import CallLimits

    return replace(present[0].limits if present else CallLimits(), **given)  # type: ignore[arg-type]  # by their names


def _no_grant() -> Grant:
    from headrace.client import Grant

    return Grant("-", ("-",))


def _lines(binding: Binding) -> list[str]:
    if not binding.grants and not _limited(binding.limits):
        return [f"{binding.subject} has nothing now"]
    lines = [
        f"{binding.subject} has {one.role} for {', '.join(one.models)}" for one in binding.grants
    ]
    limits = _limited(binding.limits)
    return [*lines, *([f"{binding.subject} may ask {limits} of each replica"] if limits else [])]


def _limited(limits: CallLimits) -> str:
    said = [
        (limits.requests_per_second, f"{limits.requests_per_second:g} requests/s"),
        (limits.rows_per_second, f"{limits.rows_per_second:g} rows/s"),
        (limits.in_flight, f"{limits.in_flight} in flight"),
    ]
    return ", ".join(text for value, text in said if value)
