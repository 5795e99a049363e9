"""`headrace alerts`, `slo` and `apply` against a real monitor."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from headrace.cli.app import run
from tests.rpc.alerting import RULES, Scene, alerting, receiving
from tests.rpc.monitors import FakeClock

OBJECTIVE = """
[[rules]]
name = "answers"
kind = "objective"
target = 0.99
"""


class Shell:
    """Runs commands against a monitor, and gives what they print."""

    def __init__(self, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
        self._address = scene.monitor.address
        self._capsys = capsys

    async def run(self, *arguments: str, status: int = 0) -> str:
        """What a command prints, on both outputs."""
        done = await asyncio.to_thread(run, [*arguments, "--monitor", self._address])
        printed = "".join(self._capsys.readouterr())
        assert status == done, printed
        return printed


async def test_alerts_are_listed_shown_and_looked_after(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a file of rules to an alert that somebody looks after, and its silence."""
    rules = tmp_path / "alerts.toml"
    clock = FakeClock(time.time_ns())  # the command line's, too
    async with receiving() as hook, alerting(tmp_path / "data", clock) as scene:
        shell = Shell(scene, capsys)
        rules.write_text(RULES.format(url=hook.url) + OBJECTIVE)
        wanted = "answers would be added"
        assert wanted in await shell.run("apply", str(rules), "--dry-run")
        applied = await shell.run("apply", str(rules))
        assert "answers added" in applied
        assert "receivers/hook added" in applied
        assert "no alerts" in await shell.run("alerts")
        for seconds in (60, 60):
            await scene.serve(seconds, good=20, failed=10)
            await scene.evaluated()
        listed = await shell.run("alerts")
        assert {"page", "version-failing", "answers"} <= {*listed.split()}
        found = json.loads(await shell.run("--json", "alerts", "--rule", "version-failing"))
        (alert,) = found["alerts"]
        assert ("firing", "digits", 1) == (alert["state"], alert["model"], alert["version"])
        shown = await shell.run("alerts", "show", alert["id"])
        assert "reasons     RUN_FAILED 300" in shown
        assert f"console     {alert['link']}" in shown
        acknowledged = await shell.run("alerts", "ack", alert["id"], "-m", "mine")
        assert "looks after version-failing" in acknowledged
        assert "(looked after)" in await shell.run("alerts")
        for option in ("--model", "digits"), ("--rule", "version-*"):
            made = await shell.run("alerts", "silence", "--for", "1h", "-m", "why", *option)
            assert "silence " in made
        silences = json.loads(await shell.run("--json", "alerts", "silences"))["silences"]
        assert [3, 1] == [each["alerts"] for each in silences]
        await shell.run("alerts", "unsilence", silences[0]["id"])
        objectives = await shell.run("slo", "digits")
        assert "66.6667%" in objectives
        assert "33 in 5m!" in objectives
        assert "hook took it" in await shell.run("alerts", "test", "hook")
        rules_told = await shell.run("alerts", "rules")
        assert {"answers", "shipped", "hook"} <= {*rules_told.split()}
        toml = await shell.run("alerts", "rules", "--toml")
        assert 'name = "answers"' in toml


async def test_all_that_is_wrong_with_a_file_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is changed."""
    rules = tmp_path / "alerts.toml"
    rules.write_text("colour = 1\n[[rules]]\nname = 'x'\nkind = 'weather'\n")
    async with alerting(tmp_path / "data") as scene:
        printed = await Shell(scene, capsys).run("apply", str(rules), status=1)
        assert "colour: no such key" in printed
        assert "Invalid value 'weather'" in printed


async def test_a_receiver_that_takes_nothing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what it answered."""
    async with receiving() as hook, alerting(tmp_path) as scene:
        await scene.apply(RULES.format(url=hook.url))
        hook.status = 503
        printed = await Shell(scene, capsys).run("alerts", "test", "hook", status=1)
        assert "hook did not take it: it answered 503" in printed
