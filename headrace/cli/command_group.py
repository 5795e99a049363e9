"""The commands by name: each one's module is imported when the command is called or listed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from headrace.cli.synonyms import advice_for, meant_by

if TYPE_CHECKING:
    Command = Any
    """Typer has no public name for what it makes of a function in all its versions."""

PANELS: Mapping[str, Mapping[str, str]] = {
    "Serve": {
        "serve": "serve",
        "serve-folder": "serve_folder",
        "up": "up",
        "gateway": "gateway",
    },
    "Models and versions": {
        "push": "push",
        "models": "models",
        "model": "model",
        "versions": "versions",
        "status": "status",
        "annotate": "annotate",
        "card": "card",
        "diff": "diff",
        "lineage": "lineage",
        "pull": "pull",
        "verify": "verify",
        "delete": "delete",
    },
    "Where requests go": {
        "alias": "alias",
        "route": "route",
        "gate": "gate",
        "apply": "apply",
    },
    "Ask": {
        "infer": "infer",
        "batch": "batch",
        "explain": "explain",
        "chat": "chat",
        "generate": "generate",
        "embed": "embed",
        "rerank": "rerank",
    },
    "Evaluate and improve": {
        "evaluate": "evaluate",
        "compare": "compare",
        "replay": "replay",
        "optimise": "optimise",
        "retrain": "retrain",
        "dataset": "dataset",
    },
    "Watch": {
        "top": "top",
        "cost": "cost",
        "reference": "reference",
        "drift": "drift",
        "quality": "quality",
        "label": "label",
        "alerts": "alerts",
        "slo": "slo",
        "watch": "watch",
        "audit": "audit",
    },
    "Access": {
        "certs": "certs",
        "keys": "keys",
        "roles": "roles",
        "grant": "grants",
        "revoke": "grants",
        "grants": "grants",
        "whoami": "whoami",
        "login": "login",
        "profile": "profile",
    },
    "Other servers": {
        "import": "importing",
        "export-config": "export_config",
        "redis-acl": "redis_acl",
    },
}
"""The module of each command in this package, by what it is for, in the order of the help."""

MODULES: Mapping[str, str] = {
    name: module for commands in PANELS.values() for name, module in commands.items()
}

_PANEL_OF = {name: panel for panel, commands in PANELS.items() for name in commands}


class CommandGroup(TyperGroup):
    """Commands that are loaded when they are needed; other tools' names for them are understood."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = LazyCommands()  # type: ignore[assignment]  # nothing is added to it

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments name. Raises Typer's usage error with what was meant."""
        word, *rest = args
        if word not in self.commands and (advice := advice_for(word)):
            ctx.fail(f"{word!r} is not a command: {advice}")
        return super().resolve_command(ctx, [meant_by(word), *rest])


class LazyCommands(Mapping[str, "Command"]):
    """Commands by name, each made by its module's `register` when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        if name not in self._made:
            self._made[name] = _made(name, MODULES[name])
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in MODULES

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


def _made(name: str, module: str) -> Command:
    app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    app.callback()(lambda: None)  # makes Typer build a group though there is one command
    import_module(f"headrace.cli.{module}").register(app)
    group: Any = get_command(app)
    made = group.commands[name]
    made.rich_help_panel = _PANEL_OF[name]
    return made
