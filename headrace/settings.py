"""Settings of a process: one frozen dataclass, read once from flags, then environment, then defaults.

A field `grpc_port` of the registry's settings is read from `--grpc-port`, then from
`HEADRACE_REGISTRY_GRPC_PORT`, then from `HEADRACE_GRPC_PORT`, then from its default. The docstring under
a field is its help text. All that is wrong is reported at once, and the process ends with status 2.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import math
import sys
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

Settings = TypeVar("Settings")

EXIT_USAGE = 2
_HELP = frozenset(("-h", "--help"))


class SettingsError(ValueError):
    """One or more settings are wrong; the message has a line for each."""


def read_or_exit(
    cls: type[Settings], service: str, argv: Sequence[str], environ: Mapping[str, str]
) -> Settings:
    """The settings of `service`, or one line on standard error for each that is wrong, and exit 2."""
    try:
        return read(cls, service, argv, environ)
    except SettingsError as error:
        for line in str(error).splitlines():
            print(f"headrace-{service}: {line}", file=sys.stderr)  # noqa: T201
        sys.exit(EXIT_USAGE)


def read(
    cls: type[Settings], service: str, argv: Sequence[str], environ: Mapping[str, str]
) -> Settings:
    """The settings of `service` from flags, environment and defaults. Raises SettingsError."""
    given = vars(_parser(cls, service, explains=not _HELP.isdisjoint(argv)).parse_args(argv))
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for field in dataclasses.fields(typing.cast(Any, cls)):
        source, text = _source(field.name, service, given, environ)
        if text is None:
            continue
        try:
            values[field.name] = parse_value(hints[field.name], text)
        except ValueError as error:
            wrong.append(f"{source}: {error}")
    wrong += _missing(cls, values)
    if wrong:
        raise SettingsError("\n".join(wrong))
    try:
        return cls(**values)
    except ValueError as error:  # a settings class checks its own ranges in __post_init__
        raise SettingsError(str(error)) from error


def parse_value(hint: Any, text: str) -> Any:
    """`text` as a value of the type `hint`. Raises ValueError that says what was allowed."""
    options = [option for option in typing.get_args(hint) if option is not types.NoneType]
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return _choice(text, [str(option) for option in options])
    if origin in (types.UnionType, typing.Union):
        return None if text == "" else parse_value(options[0], text)
    if origin is tuple:
        return tuple(parse_value(options[0], item) for item in text.split(",") if item)
    if hint is bool:
        return _choice(text.lower(), ["true", "false"]) == "true"
    if hint in (int, float, str, Path):
        return _convert(hint, text)
    raise TypeError(f"no way to read a setting of type {hint}")


def _convert(hint: Any, text: str) -> Any:
    try:
        value = hint(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a {hint.__name__}") from None
    if hint is float and not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return value


def _choice(text: str, allowed: Sequence[str]) -> str:
    if text not in allowed:
        raise ValueError(f"{text!r} is not one of {', '.join(allowed)}")
    return text


def _source(
    name: str, service: str, given: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[str, str | None]:
    if given.get(name) is not None:
        return f"--{name.replace('_', '-')}", given[name]
    for variable in (f"HEADRACE_{service}_{name}".upper(), f"HEADRACE_{name}".upper()):
        if variable in environ:
            return variable, environ[variable]
    return name, None


def _missing(cls: Any, values: Mapping[str, Any]) -> list[str]:
    return [
        f"--{field.name.replace('_', '-')} is required (or HEADRACE_{field.name.upper()})"
        for field in dataclasses.fields(cls)
        if field.name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


def _parser(cls: Any, service: str, *, explains: bool) -> argparse.ArgumentParser:
    # Only to be printed: it takes milliseconds, and CPython 3.11 does not parse in several threads.
    parser = _Parser(
        prog=f"headrace-{service}", description=inspect.getdoc(cls), allow_abbrev=False
    )
    help_of = field_docs(cls) if explains else {}
    for field in setting_fields(cls):
        default = (
            "" if field.default in (dataclasses.MISSING, None) else f" (default {field.default})"
        )
        flag = f"--{field.name.replace('_', '-')}"
        text = (help_of.get(field.name, "") + default).replace("%", "%%")
        parser.add_argument(flag, dest=field.name, help=text)
    return parser


def setting_fields(cls: Any) -> list[dataclasses.Field[Any]]:
    """The fields of a settings class as help lists them: its own, then those that it inherits."""
    own = vars(cls).get("__annotations__", {})
    return sorted(dataclasses.fields(cls), key=lambda field: field.name not in own)


def field_docs(cls: type[Any]) -> dict[str, str]:
    """The docstring under each field of a dataclass, read from its source, and those of its bases."""
    bases = [base for base in reversed(cls.__mro__) if dataclasses.is_dataclass(base)]
    return {name: text for base in bases for name, text in _own_field_docs(base).items()}


def _own_field_docs(cls: type[Any]) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(tree, ast.ClassDef)
    docs: dict[str, str] = {}
    for statement, following in zip(tree.body, tree.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            docs[statement.target.id] = " ".join(str(following.value.value).split())
    return docs
