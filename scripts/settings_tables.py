"""Write the tables of settings in docs/settings.md from the settings classes; --check: only compare.

A table stands between `<!-- settings: NAME -->` and `<!-- end of settings -->`. What a setting is for is
the docstring under its field, so the page and `--help` say the same.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headrace.client import ClientSettings
from headrace.gateway.settings import Settings as GatewaySettings
from headrace.settings import field_docs, setting_fields
from headrace_inference.settings import Settings as InferenceSettings
from headrace_monitor.settings import Settings as MonitorSettings
from headrace_registry.settings import Settings as RegistrySettings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
CLASSES: dict[str, type[Any]] = {
    "registry": RegistrySettings,
    "inference": InferenceSettings,
    "monitor": MonitorSettings,
    "gateway": GatewaySettings,
    "client": ClientSettings,
}
TABLE = re.compile(r"(<!-- settings: (\w+) -->\n).*?(<!-- end of settings -->)", re.DOTALL)
COMPUTED = "by the machine"
"""In place of a default that is not the same everywhere."""


def main(arguments: list[str]) -> int:
    """Write the page anew, or with --check say by the exit status whether it is fresh."""
    found = PAGE.read_text(encoding="utf-8")
    fresh = with_tables(found)
    if found == fresh:
        return 0
    if "--check" in arguments:
        print(f"{PAGE} is stale: run make pages", file=sys.stderr)
        return 1
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


def with_tables(page: str) -> str:
    """The page with every table as the classes have it."""
    return TABLE.sub(lambda match: f"{match[1]}{table(CLASSES[match[2]])}{match[3]}", page)


def table(cls: type[Any]) -> str:
    """The settings of a class as a Markdown table."""
    lines = ["| Flag | Type | Default | What it is |", "| --- | --- | --- | --- |", *_rows(cls)]
    return "\n".join(lines) + "\n"


def _rows(cls: type[Any]) -> Iterator[str]:
    hints, docs, defaults = typing.get_type_hints(cls), field_docs(cls), _written_defaults(cls)
    for field in setting_fields(cls):
        flag = f"`--{field.name.replace('_', '-')}`"
        default = _default(field, defaults.get(field.name))
        yield f"| {flag} | {_type(hints[field.name])} | {default} | {docs[field.name]} |"


def _type(hint: Any) -> str:
    options = [option for option in typing.get_args(hint) if option is not types.NoneType]
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(map(str, options))
    if typing.get_origin(hint) is tuple:
        return "list"
    if options:
        return _type(options[0])
    return {"str": "text", "int": "whole number", "float": "number", "Path": "path"}.get(
        hint.__name__, "true, false"
    )


def _default(field: dataclasses.Field[Any], written: ast.expr | None) -> str:
    if written is None:
        return "required"
    if _is_computed(written):
        return COMPUTED
    value = field.default
    if value is None or value in ("", ()):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _is_computed(written: ast.expr) -> bool:
    """Return whether a default calls anything but Path, which gives the same everywhere."""
    calls = [node.func for node in ast.walk(written) if isinstance(node, ast.Call)]
    return any(ast.unparse(call) != "Path" for call in calls)


def _written_defaults(cls: type[Any]) -> dict[str, ast.expr]:
    """The default of each field as its source has it, and those of its bases."""
    bases = [base for base in reversed(cls.__mro__) if dataclasses.is_dataclass(base)]
    return {name: value for base in bases for name, value in _own_written_defaults(base).items()}


def _own_written_defaults(cls: type[Any]) -> dict[str, ast.expr]:
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(tree, ast.ClassDef)
    return {
        node.target.id: node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
