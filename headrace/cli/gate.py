"""`headrace gate`: what a version's metrics must be before callers get it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.arguments import ModelName
from headrace.cli.command import Cli, command
from headrace.cli.error_report import EXIT_REFUSED, printable

if TYPE_CHECKING:
    from headrace.client import AsyncClient
    from headrace.gates import Verdict
    from headrace.state.gate_records import GateRecord

_Require = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CONDITION",
        help="Must hold, as 'accuracy >= 0.95', 'f1.fraud.lower > 0.8' or 'accuracy{region=eu} > 0.9'. "
        "May be repeated; all are replaced.",
    ),
]
_NoWorseThan = Annotated[
    list[str] | None,
    typer.Option(
        metavar="METRIC[:MARGIN][@ALIAS]",
        help="Must not be worse, by more than the margin, than in what the alias names, or the route's "
        "stable version. May be repeated; all are replaced.",
    ),
]
_Alias = Annotated[
    list[str] | None,
    typer.Option(help="Guard this alias, and no others but those given. [default: all]"),
]
_Data = Annotated[
    str | None, typer.Option(metavar="SHA256", help="Only metrics of these data count; '' of all.")
]
_Clear = Annotated[bool, typer.Option("--clear", help="Demand nothing any more.")]
_Check = Annotated[
    str,
    typer.Option(
        metavar="VERSION",
        help="Say what it says of one version or alias; exit status 1: not passed.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "gate", changes=True)(gate)


async def gate(
    cli: Cli,
    name: ModelName,
    require: _Require = None,
    no_worse_than: _NoWorseThan = None,
    alias: _Alias = None,
    data: _Data = None,
    clear: _Clear = False,
    check: _Check = "",
) -> None:
    """Show or change a model's gate: what must hold of a version's metrics before an alias or the route may
    name it.

    What is not given stays. Without options, it shows the gate, and what it says of each version that no
    alias and no route names yet. A gate is asked by every change that leads callers to a version, but for a
    rollback; --allow-gate-failure there goes on anyway, and the change log says so. Changing it takes the
    right to route.
    """
    changes = any(each is not None for each in (require, no_worse_than, alias, data))
    if clear + bool(check) + changes > 1:
        raise typer.BadParameter("--clear, --check and changes of rules go one at a time")
    async with cli.client() as client:
        if clear or changes:
            gate = await _changed(client, name, clear, require, no_worse_than, alias, data)
        else:
            gate = (await client.model(name)).gate
        number = await client.resolve(name, check) if check else None
        verdicts = await client.gate_verdicts(name)
        shown = verdicts if number is None else {number: _of(verdicts, name, number)}
        if number is None:
            shown = await _unnamed(client, name, verdicts)
    cli.show(
        {"gate": gate, "verdicts": [_told(each, verdict) for each, verdict in shown.items()]},
        lambda: [*_rules(name, gate), *_lines(shown)],
    )
    if number is not None and not shown[number].passed:
        raise typer.Exit(EXIT_REFUSED)


async def _changed(
    client: AsyncClient,
    name: str,
    clear: bool,
    require: list[str] | None,
    no_worse_than: list[str] | None,
    aliases: list[str] | None,
    data: str | None,
) -> GateRecord | None:
    from headrace.gates import comparison
    from headrace.state.gate_records import GateRecord

    found = await client.model(name)
    gate = GateRecord() if clear else found.gate or GateRecord()
    if require is not None:
        gate = replace(gate, require=tuple(require))
    if no_worse_than is not None:
        gate = replace(gate, no_worse_than=tuple(map(comparison, no_worse_than)))
    if aliases is not None:
        gate = replace(gate, aliases=tuple(aliases))
    if data is not None:
        gate = replace(gate, data_digest=data)
    if gate.is_open and not clear:
        raise typer.BadParameter("the gate has no rule: give --require or --no-worse-than")
    return (await client.update_model(name, gate=gate, etag=found.etag)).gate


def _of(verdicts: dict[int, Verdict], name: str, number: int) -> Verdict:
    from headrace import errors

    if number not in verdicts:
        raise errors.NotFound("VERSION_NOT_FOUND", f"model {name!r} has no version {number}")
    return verdicts[number]


async def _unnamed(
    client: AsyncClient, name: str, verdicts: dict[int, Verdict]
) -> dict[int, Verdict]:
    """The verdicts on versions that nothing leads callers to yet."""
    if not verdicts:
        return {}
    route = await client.route(name)
    canaries = (route.canary, *route.more_canaries)
    named = {each.version for each in await client.aliases(name)} | {route.stable}
    named |= {each.version for each in (*canaries, *route.matches) if each}
    return {number: verdict for number, verdict in verdicts.items() if number not in named}


def _rules(name: str, gate: GateRecord | None) -> Iterator[str]:
    from headrace.gates import written_comparison

    if gate is None:
        yield f"{name} has no gate: any version may get callers"
        return
    for text in gate.require:
        yield printable(f"require        {text}")
    for each in gate.no_worse_than:
        yield printable(f"no worse than  {written_comparison(each)}")
    guarded = ", ".join(gate.aliases) or "all"
    yield printable(f"guards         the route; aliases: {guarded}")
    if gate.data_digest:
        yield f"data           {gate.data_digest}"


def _lines(verdicts: dict[int, Verdict]) -> Iterator[str]:
    for number, verdict in verdicts.items():
        if verdict.results:
            yield ""
            yield f"version {number} {'passes' if verdict.passed else 'does not pass'}"
            yield from (printable(f"  {line}") for line in verdict.lines())


def _told(number: int, verdict: Verdict) -> dict[str, object]:
    return {"version": number, "passed": verdict.passed, "results": verdict.results}
