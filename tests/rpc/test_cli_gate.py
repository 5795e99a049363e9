"""Gates and searches of versions on the command line, against a real registry."""

from __future__ import annotations

import json
from pathlib import Path

from headrace.client import AsyncClient
from tests.rpc.test_cli_commands import model_file, open_shell


async def test_a_gate_from_its_first_rule_to_its_end(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Set, shown with verdicts, checked by exit status, insisted on, found by metrics, cleared."""
    async with (
        open_shell(redis_url, namespace, tmp_path / "data") as shell,
        AsyncClient(registry=shell.flags[1]) as client,
    ):
        for number in (1, 2, 3):
            await client.push("add", model_file(tmp_path, float(number)))
            await client.annotate(
                "add", number, metrics={"accuracy": 0.9 + number / 100, "loss": 0.5}
            )
        rules = ("--require", "accuracy > 0.925", "--no-worse-than", "loss:0.1@stable")
        made = await shell("gate", "add", *rules)
        wrong = await shell("gate", "add", "--require", "accuracy >")
        passed = await shell("gate", "add", "--check", "3")
        failed = await shell("gate", "add", "--check", "2", "--json")
        moved = await shell("alias", "add", "prod", "2")
        forced = await shell("alias", "add", "prod", "2", "--allow-gate-failure")
        shown = await shell("gate", "add")
        found = await shell("versions", "--filter", "metrics.accuracy > 0.915 and alias:prod")
        ordered = await shell("versions", "add", "--order-by", "metrics.accuracy desc", "--json")
        misspelt = await shell("versions", "--filter", "metric.accuracy > 1")
        cleared = await shell("gate", "add", "--clear")
    assert [0, 1, 0, 1, 1, 0, 0, 0, 0, 1, 0] == [
        each.status
        for each in (
            *(made, wrong, passed, failed, moved, forced),
            *(shown, found, ordered, misspelt, cleared),
        )
    ]
    assert "version 2 does not pass\n  accuracy > 0.925: accuracy is 0.92\n" in made.output
    assert "version 3 passes\n  accuracy > 0.925: holds (accuracy is 0.93)\n" in made.output
    assert "GATE_INVALID" in wrong.error
    verdict = json.loads(failed.output)["verdicts"][0]
    assert (2, False) == (verdict["version"], verdict["passed"])
    assert (
        "`headrace gate NAME` shows every rule; --allow-gate-failure goes on anyway" in moved.error
    )
    assert ("version 3" in shown.output, "version 2" in shown.output) == (True, False)
    heading, row = found.output.splitlines()[:2]
    assert ["MODEL", "VERSION", "ACCURACY"] == heading.split()[:3]
    assert ["add", "2", "0.92"] == row.split()[:3]
    assert [3, 2, 1] == [each["version"]["number"] for each in json.loads(ordered.output)["found"]]
    assert "column 1: there is no field 'metric.accuracy'" in misspelt.error
    assert "add has no gate" in cleared.output
