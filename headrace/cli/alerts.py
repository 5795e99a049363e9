"""`headrace alerts`: what is wrong now, who looks after it, and what nobody is to be told of."""

from __future__ import annotations

import sys
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command, default_command
from headrace.cli.durations import seconds_in
from headrace.cli.error_report import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headrace.client.alert_resources import Alert, AlertReceiver, AlertRule, Silence

COLUMNS = ("id", "severity", "state", "since", "rule", "model", "what")
RULE_COLUMNS = ("rule", "kind", "severity", "for", "models", "to", "state")
RECEIVER_COLUMNS = ("receiver", "kind", "address", "delivered>", "failed>", "waiting>", "problem")
SILENCE_COLUMNS = ("id", "until", "of", "alerts>", "by", "why")

AlertId = Annotated[str, typer.Argument(metavar="ID", help="The alert's id.")]
OnlyModel = Annotated[str, typer.Option("--model", help="Only of this model.")]
OnlyRule = Annotated[str, typer.Option("--rule", help="Only of this rule.")]
Comment = Annotated[str, typer.Option("--comment", "-m", help="A few words for others.")]


def register(app: typer.Typer) -> None:
    """Add the command with its own commands."""
    group = typer.Typer(rich_markup_mode="markdown")
    default_command(group)(list_alerts)
    for name, function in (
        ("show", show),
        ("ack", acknowledge),
        ("silence", silence),
        ("silences", list_silences),
        ("unsilence", end_silence),
        ("rules", list_rules),
        ("test", test_receiver),
        ("export-prometheus", export_prometheus),
    ):
        command(group, name)(function)
    app.add_typer(group, name="alerts")


async def list_alerts(
    cli: Cli,
    model: OnlyModel = "",
    rule: OnlyRule = "",
    severity: Annotated[
        Literal["info", "ticket", "page"], typer.Option(help="At least this bad.")
    ] = "info",
    history: Annotated[
        bool, typer.Option("--history", help="Those that are over, newest first.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show them again after every change. Ctrl-C ends it.")
    ] = False,
) -> None:
    """List what is pending or firing, the worst first.

    The commands below show one, look after it, and say whom to tell.
    """
    async with cli.client() as client:
        if watch:
            async for seen in client.watch_alerts(model):
                cli.show({"alerts": seen}, partial(_page, seen))
            return
        found = await client.alerts(
            model, rule=rule, severity=severity, state="resolved" if history else ""
        )
    cli.show({"alerts": found}, lambda: view(found))


async def show(cli: Cli, alert_id: AlertId) -> None:
    """Show all of an alert: since when, how bad, which fields and slices, what to look at."""
    async with cli.client() as client:
        known = [*await client.alerts(), *await client.alerts(state="resolved")]
    found = next((alert for alert in known if alert.id == alert_id), None)
    if found is None:
        from headrace import errors

        raise errors.NotFound("ALERT_NOT_FOUND", f"there is no alert {alert_id!r}, now or before")
    cli.show(found, lambda: describe(found))


async def acknowledge(cli: Cli, alert_id: AlertId, comment: Comment = "") -> None:
    """Say that you look after an alert: nobody is told of it again until it is over."""
    async with cli.client() as client:
        found = await client.acknowledge_alert(alert_id, comment)
    cli.show(found, lambda: f"{found.acknowledged_by} looks after {found.rule}: {found.summary}")


async def silence(
    cli: Cli,
    duration: Annotated[
        str, typer.Option("--for", help="How long: 30m, 2h, 7d; 90 days at the most.")
    ],
    comment: Annotated[str, typer.Option("--comment", "-m", help="Why: others will ask.")],
    model: Annotated[str, typer.Option(help=r"Pattern of names of models; '\*': any text.")] = "",
    rule: Annotated[str, typer.Option(help="Pattern of names of rules.")] = "",
    version: Annotated[int, typer.Option(help="Only this version.", min=0)] = 0,
    replica: Annotated[str, typer.Option(help="Pattern of ids of replicas.")] = "",
) -> None:
    """Have nobody told of some alerts for a time. They are evaluated and shown all the same."""
    seconds = seconds_in(duration, "--for") or 0.0
    async with cli.client() as client:
        made = await client.silence_alerts(
            seconds, comment, model=model, rule=rule, version=version, replica=replica
        )
    cli.show(made, lambda: f"silence {made.id} until {_when(made.ends_at)}: {_of(made)}")


async def list_silences(cli: Cli) -> None:
    """List the silences that have not ended."""
    async with cli.client() as client:
        found = await client.silences()
    rows = [
        (each.id, _when(each.ends_at), _of(each), each.alerts, each.creator, each.comment)
        for each in found
    ]
    cli.show({"silences": found}, lambda: output.table(SILENCE_COLUMNS, map(_printable, rows)))


async def end_silence(
    cli: Cli, silence_id: Annotated[str, typer.Argument(metavar="ID", help="The silence's id.")]
) -> None:
    """End a silence: what it hid and still fires is told."""
    async with cli.client() as client:
        await client.end_silence(silence_id)
    cli.show({"ended": silence_id}, lambda: f"ended silence {silence_id}")


async def list_rules(
    cli: Cli,
    as_toml: Annotated[
        bool, typer.Option("--toml", help="All of each, as a file of rules has it.")
    ] = False,
) -> None:
    """List the rules in force and where alerts go."""
    async with cli.client() as client:
        found = await client.alert_rules()
    if as_toml and not cli.as_json:
        print("\n".join(rule.toml for rule in found.rules))
        return
    cli.show(
        found,
        lambda: [
            output.table(RULE_COLUMNS, map(_rule_row, found.rules)),
            *(["", _receivers(found.receivers)] if found.receivers else []),
        ],
    )


async def test_receiver(
    cli: Cli,
    receiver: Annotated[str, typer.Argument(metavar="RECEIVER", help="The receiver's name.")],
) -> None:
    """Send a notification that says that it is a test."""
    async with cli.client() as client:
        problem = await client.test_receiver(receiver)
    said = f"{receiver} did not take it: {problem}" if problem else f"{receiver} took it"
    cli.show({"delivered": not problem, "problem": problem}, lambda: printable(said))
    if problem:
        raise typer.Exit(1)


async def export_prometheus(
    _: Cli,
    file: Annotated[Path, typer.Argument(help="A file of rules.", exists=True, dir_okay=False)],
) -> None:
    """Write a file's rules as those of Prometheus, for all that its metrics tell."""
    from headrace.alert_rules.prometheus import prometheus_rules
    from headrace.alert_rules.rules_file import read_rules

    exported = prometheus_rules(read_rules(file.read_text(encoding="utf-8")))
    for reason in exported.left_out:
        print(f"note: {printable(reason)}", file=sys.stderr)
    sys.stdout.write(exported.text)


def view(alerts: Sequence[Alert]) -> Any:
    """Return alerts as a table, or a line where there are none."""
    if not alerts:
        return "no alerts"
    return output.table(COLUMNS, [_printable(_row(alert)) for alert in alerts])


def describe(alert: Alert) -> str:
    """Return all of an alert, a line for each part."""
    lines = [
        f"{alert.severity} {alert.state}: {alert.summary}",
        f"rule        {alert.rule} ({alert.kind}), id {alert.id}",
        f"since       {_when(alert.started_at)}"
        + (f", firing since {_when(alert.fired_at)}" if alert.fired_at else "")
        + (f", over since {_when(alert.resolved_at)}" if alert.resolved_at else ""),
        _how_bad(alert),
        *(f"field       {each.field}: {each.finding}" for each in alert.fields),
        f"slices      {', '.join(alert.slices)}" if alert.slices else "",
        f"reasons     {', '.join(f'{key} {count}' for key, count in alert.reasons.items())}"
        if alert.reasons
        else "",
        f"requests    {', '.join(alert.request_ids[:10])}" if alert.request_ids else "",
        f"incomplete  {', '.join(alert.incomplete)}" if alert.incomplete else "",
        f"look at     {alert.look_at}",
        f"console     {alert.link}",
        f"looked after by {alert.acknowledged_by}: {alert.comment}"
        if alert.acknowledged_by
        else "",
        f"silenced by {alert.silence}" if alert.silence else "",
    ]
    return "\n".join(printable(line) for line in lines if line)


def _how_bad(alert: Alert) -> str:
    return (
        f"how bad     {alert.value:.4g} {alert.unit}, from {alert.threshold:.4g} on it is wrong; "
        f"{alert.worst:.4g} at worst"
    )


def _page(alerts: Sequence[Alert]) -> list[Any]:
    return [view(alerts), ""]


def _row(alert: Alert) -> tuple[object, ...]:
    note = " (looked after)" if alert.acknowledged_by else " (silenced)" if alert.silence else ""
    since = alert.fired_at or alert.started_at
    model = f"{alert.model}/{alert.version}" if alert.version else alert.model or "-"
    what = alert.summary.removeprefix(f"{alert.model} version {alert.version}: ")
    return alert.id, alert.severity, alert.state + note, _when(since), alert.rule, model, what


def _rule_row(rule: AlertRule) -> tuple[object, ...]:
    state = "off" if rule.disabled else "shipped" if rule.shipped else "own"
    models = ", ".join(rule.models) or "all"
    hold = f"{rule.hold_seconds:g}s"
    to = ", ".join(rule.receivers)
    return _printable((rule.name, rule.kind, rule.severity, hold, models, to, state))


def _receivers(receivers: Sequence[AlertReceiver]) -> Any:
    rows = [
        (
            each.name,
            each.kind,
            each.address,
            each.delivered,
            each.failed,
            each.waiting,
            each.problem,
        )
        for each in receivers
    ]
    return output.table(RECEIVER_COLUMNS, map(_printable, rows))


def _of(silence: Silence) -> str:
    named = {
        "model": silence.model,
        "version": silence.version or "",
        "rule": silence.rule,
        "replica": silence.replica,
    }
    return " ".join(f"{key}={value}" for key, value in named.items() if value)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _printable(row: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(printable(each) if isinstance(each, str) else each for each in row)
