"""The command line's reference page, from what Typer knows of the commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, cast

import typer.main

from headrace.cli import app

COMMON = "Common options"
"""The panel of the options that every command takes."""


class _Parameter(Protocol):
    """The part of Typer's arguments and options that this page reads."""

    name: str
    opts: Sequence[str]
    param_type_name: str
    required: bool
    multiple: bool
    is_flag: bool
    hidden: bool
    default: object
    metavar: str | None
    help: str | None
    rich_help_panel: str | None


class _Command(Protocol):
    """The part of a command that it reads; a group has `commands` of its own."""

    name: str
    help: str | None
    epilog: str | None
    hidden: bool
    params: Sequence[_Parameter]


def lines() -> Iterator[str]:
    """The page."""
    root = cast(_Command, typer.main.get_command(app.build()))
    yield "# Command line"
    yield ""
    yield from _paragraphs(root.help)
    yield from _paragraphs(root.epilog)
    yield "`headrace --help` and `headrace COMMAND --help` say the same as this page."
    yield ""
    yield "## Common options"
    yield ""
    yield "Every command takes these, before its name or after it."
    yield ""
    yield from _table(one for one in root.params if one.rich_help_panel == COMMON)
    for path, command in _commands(root, "headrace"):
        yield from _section(path, command)


def _commands(group: _Command, path: str) -> Iterator[tuple[str, _Command]]:
    """The commands below a group, each with how it is called."""
    below: dict[str, _Command] = getattr(group, "commands", {})
    for name, command in below.items():
        if getattr(command, "commands", None):
            yield from _commands(command, f"{path} {name}")
        elif not command.hidden:
            yield f"{path} {name}", command


def _section(path: str, command: _Command) -> Iterator[str]:
    own = [one for one in command.params if one.rich_help_panel != COMMON and not one.hidden]
    arguments = [one for one in own if one.param_type_name == "argument"]
    options = [one for one in own if one.param_type_name != "argument"]
    yield from ("", f"## {path.removeprefix('headrace ')}", "", "```sh")
    yield " ".join([path, *map(_called, arguments), *(["[OPTIONS]"] if options else [])])
    yield from ("```", "")
    yield from _paragraphs(command.help)
    yield from _table(own)


def _called(argument: _Parameter) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _paragraphs(text: str | None) -> Iterator[str]:
    for paragraph in (text or "").strip().split("\n\n"):
        if paragraph:
            yield from (" ".join(paragraph.split()), "")


def _table(parameters: Iterable[_Parameter]) -> Iterator[str]:
    rows = [_row(parameter) for parameter in parameters]
    if rows:
        yield from ("| Argument or option | Default | What it is |", "| --- | --- | --- |", *rows)


def _row(parameter: _Parameter) -> str:
    shown = _called(parameter) if parameter.param_type_name == "argument" else _flags(parameter)
    text = " ".join((parameter.help or "").split()).replace("|", "\\|")
    return f"| {shown} | {_default(parameter)} | {text} |"


def _flags(option: _Parameter) -> str:
    value = f" {option.metavar}" if option.metavar else ""
    flags = ", ".join(f"`{flag}{value}`" for flag in option.opts)
    return f"{flags}, any number of times" if option.multiple else flags


def _default(parameter: _Parameter) -> str:
    if parameter.required:
        return "required"
    shown = parameter.default not in (None, "", False, ()) and not callable(parameter.default)
    return f"`{parameter.default}`" if shown else ""
