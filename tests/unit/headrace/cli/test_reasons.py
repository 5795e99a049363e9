"""The commands that change something take a reason, and no others do."""

from __future__ import annotations

from typing import Any

import typer
import typer.main

from headrace.cli.app import build

CHANGING = {
    *(
        "alias",
        "annotate",
        "delete",
        "grant",
        "import gguf",
        "import triton",
        "model",
        "evaluate",
        "gate",
        "explain",
        "optimise",
        "push",
        "revoke",
        "retrain",
        "route",
    ),
    *("keys create", "keys revoke", "keys rotate", "roles delete", "roles set"),
    *("reference delete", "reference enforce", "reference set"),
}


def commands(group: Any, words: str = "") -> dict[str, Any]:
    """All commands by their words."""
    found: dict[str, Any] = {}
    for name in group.list_commands(typer.Context(group)):
        command = group.get_command(typer.Context(group), name)
        called = f"{words} {name}".strip()
        found |= (
            commands(command, called) if hasattr(command, "list_commands") else {called: command}
        )
    return found


def test_commands_that_change_something_take_a_reason() -> None:
    """It goes into the change log."""
    taking = {
        words
        for words, command in commands(typer.main.get_command(build())).items()
        if any("--reason" in each.opts for each in command.params)
    }
    assert CHANGING == taking
