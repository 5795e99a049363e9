"""The Python client's reference page, from its signatures and docstrings."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import textwrap
from collections.abc import Callable, Iterator

from headrace import client

INTRODUCTION = """
`headrace.Client` is for ordinary code, `headrace.AsyncClient` for asyncio. Both have the same methods.
Those of `AsyncClient` are awaited, and its `watch…` methods are iterated with `async for`. Errors are
classes of `headrace.errors`, each with a constant reason: [errors](../errors.md) lists them.
[Settings](../settings.md#client-and-command-line) has what a client can be told, by arguments or by
environment variables.

```python
import headrace

with headrace.Client() as client:
    print(client.server_live())
```
"""
Method = Callable[..., object]


def lines() -> Iterator[str]:
    """The page."""
    yield "# Python client"
    yield INTRODUCTION
    yield "## Methods"
    for name, method in _methods():
        shown = signature_of(name, method, first=1)
        yield from ("", f"### {name}", "", "```python", shown, "```", "")
        yield _text(method)
    yield from ("", "## What methods hand out")
    for cls in _resources():
        yield from ("", f"### {cls.__name__}", "", _text(cls), "")
        yield from fields_of(cls)


def _methods() -> Iterator[tuple[str, Method]]:
    """The public methods by name."""
    for name, member in inspect.getmembers(client.AsyncClient, inspect.isfunction):
        if not name.startswith("_"):
            yield name, member


def signature_of(name: str, method: Method, first: int = 0) -> str:
    """The signature of a function, from its `first` parameter on: a method's 1 is behind `self`."""
    parameters = list(inspect.signature(method).parameters.values())[first:]
    shown, keyword_only = list[str](), False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            shown.append("*")
            keyword_only = True
        shown.append(_parameter(parameter))
    result = inspect.signature(method).return_annotation
    one_line = f"{name}({', '.join(shown)}) -> {result}"
    if len(one_line) <= 100:
        return one_line
    return f"{name}(\n" + "".join(f"    {one},\n" for one in shown) + f") -> {result}"


def _parameter(parameter: inspect.Parameter) -> str:
    default = "" if parameter.default is parameter.empty else f" = {_shown(parameter.default)}"
    return f"{parameter.name}: {parameter.annotation}{default}"


def _shown(default: object) -> str:
    """A default as one would write it; a function that does nothing is `...`."""
    if inspect.isfunction(default):
        return "..."
    if isinstance(default, enum.Enum):
        return f"{type(default).__name__}.{default.name}"
    return f"{type(default).__name__}()" if dataclasses.is_dataclass(default) else repr(default)


def _resources() -> Iterator[type[object]]:
    """The dataclasses that the client exports."""
    for name in client.__all__:
        cls = getattr(client, name)
        if dataclasses.is_dataclass(cls) and isinstance(cls, type):
            yield cls


def fields_of(cls: type[object]) -> Iterator[str]:
    """The fields, then the properties, with their types."""
    assert dataclasses.is_dataclass(cls)
    shown = [one for one in dataclasses.fields(cls) if not one.name.startswith("_")]
    yield from ("```python", *(f"{one.name}: {one.type}" for one in shown))
    for name, member in inspect.getmembers(cls, lambda member: isinstance(member, property)):
        yield f"{name}: {inspect.signature(member.fget).return_annotation}"
    yield "```"


def _text(documented: object) -> str:
    return textwrap.dedent(inspect.getdoc(documented) or "").strip()
