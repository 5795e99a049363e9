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

MODULES: Mapping[str, str] = {
    "serve": "serve",
    "serve-folder": "serve_folder",
    "up": "up",
    "gateway": "gateway",
    "push": "push",
    "models": "models",
    "model": "model",
    "versions": "versions",
    "annotate": "annotate",
    "card": "card",
    "diff": "diff",
    "lineage": "lineage",
    "status": "status",
    "alias": "alias",
    "route": "route",
    "gate": "gate",
    "reference": "reference",
    "optimise": "optimise",
    "infer": "infer",
    "batch": "batch",
    "explain": "explain",
    "chat": "chat",
    "generate": "generate",
    "embed": "embed",
    "rerank": "rerank",
    "compare": "compare",
    "evaluate": "evaluate",
    "replay": "replay",
    "top": "top",
    "cost": "cost",
    "drift": "drift",
    "quality": "quality",
    "label": "label",
    "alerts": "alerts",
    "slo": "slo",
    "apply": "apply",
    "watch": "watch",
    "audit": "audit",
    "retrain": "retrain",
    "dataset": "dataset",
    "pull": "pull",
    "verify": "verify",
    "delete": "delete",
    "certs": "certs",
    "keys": "keys",
    "roles": "roles",
    "grant": "grants",
    "revoke": "grants",
    "grants": "grants",
    "whoami": "whoami",
    "login": "login",
    "profile": "profile",
    "import": "importing",
    "export-config": "export_config",
    "redis-acl": "redis_acl",
}
"""The module of each command in this package, in the order of the help."""


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
    return group.commands[name]
