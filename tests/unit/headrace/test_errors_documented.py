"""docs/errors.md lists every reason that the code raises, under its class, and no other."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

from headrace import errors
from headrace.client import InputTypeError

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "errors.md"
CLASSES = {kind.__name__: kind.__name__ for kind in errors.HeadraceError.__subclasses__()} | {
    InputTypeError.__name__: errors.InvalidArgument.__name__
}
"""The name of the class that the page has, by the name of the class that is raised."""
HEADING = re.compile(r"## (\w+)")
REASON = re.compile(r"[A-Z][A-Z0-9_]+")
ROW = re.compile(r"\| `([A-Z0-9_]+)` \|")

Listed = tuple[str, str]
"""A class's name and a reason."""


def test_page_lists_what_is_raised() -> None:
    """What the code raises and what the page lists are the same classes and reasons."""
    raised = {(kind, reason) for _, kind, reason in raised_errors()}
    assert sorted(raised) == sorted(_listed(PAGE.read_text()))


def test_page_lists_a_reason_once_under_a_class() -> None:
    """No table repeats a row."""
    listed = list(_listed(PAGE.read_text()))
    assert sorted(set(listed)) == sorted(listed)


@functools.cache
def raised_errors() -> tuple[tuple[str, str, str], ...]:
    """Every error that the code raises: the file below the root, the class and the reason."""
    trees = {path: ast.parse(path.read_text()) for path in _sources()}
    constants = dict(pair for tree in trees.values() for pair in _constants(tree))
    return tuple(
        (str(path.relative_to(ROOT)), *pair)
        for path, tree in trees.items()
        for pair in _raised(tree, constants)
    )


def _sources() -> Iterator[Path]:
    for folder in ("headrace", "services"):
        for path in (ROOT / folder).rglob("*.py"):
            if "_pb2" not in path.name:
                yield path


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The module's constants that may be reasons, by name."""
    for node in tree.body:
        match node:
            case ast.Assign([ast.Name(name)], ast.Constant(str(value))) if REASON.fullmatch(value):
                yield name, value


def _raised(tree: ast.Module, constants: dict[str, str]) -> Iterator[Listed]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Name(name) | ast.Attribute(attr=name), [reason, *_]):
                if name in CLASSES:
                    yield from ((CLASSES[name], text) for text in _texts(reason, constants))


def _texts(reason: ast.expr, constants: dict[str, str]) -> Iterator[str]:
    """The reasons that an argument may be; none for one that is handed on from another error."""
    match reason:
        case ast.Constant(str(text)):
            yield text
        case ast.Name(name):
            yield constants[name]
        case ast.IfExp(body=one, orelse=other):
            yield from _texts(one, constants)
            yield from _texts(other, constants)
        case ast.Attribute(attr="reason"):
            return
        case _:
            raise AssertionError(f"a reason must be a constant, not {ast.unparse(reason)}")


def _listed(page: str) -> Iterator[Listed]:
    kind = ""
    for line in page.splitlines():
        if heading := HEADING.fullmatch(line):
            kind = heading[1]
        elif row := ROW.match(line):
            yield kind, row[1]
