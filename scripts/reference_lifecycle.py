"""The lifecycle library's reference page, from what its rooms export."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from types import ModuleType

from scripts.reference_client import fields_of, signature_of

ROOMS = (
    *("tables", "predictors", "reports", "masking", "versions", "explanation", "evaluation"),
    *("optimisation", "batches"),
)
INTRODUCTION = """
The commands `dataset mask`, `evaluate`, `explain`, `optimise`, `batch`, `diff` and `card` are thin: what
they do is a library that runs in your process, `pip install 'headrace[lifecycle]'`. [The life of a
model](../lifecycle.md) says how its rooms belong together. Errors are classes of `headrace.errors`:
[errors](../errors.md) lists their reasons.

```python
import asyncio

import headrace
from headrace.lifecycle.evaluation import evaluate


async def main() -> None:
    async with headrace.AsyncClient() as client:
        found = await evaluate(client, "iris@next", "test.csv", target="species")
        print(found.metric("accuracy"))


asyncio.run(main())
```
"""


def lines() -> Iterator[str]:
    """The page."""
    yield "# The lifecycle in Python"
    yield INTRODUCTION.rstrip()
    for room in ROOMS:
        module = importlib.import_module(f"headrace.lifecycle.{room}")
        yield from ("", f"## headrace.lifecycle.{room}", "", inspect.getdoc(module) or "")
        for name in sorted(module.__all__, key=str.lower):
            yield from _entry(module, name)


def _entry(module: ModuleType, name: str) -> Iterator[str]:
    """A function with its signature, a class with its fields; constants are not shown."""
    member = getattr(module, name)
    if not (inspect.isfunction(member) or inspect.isclass(member)):
        return
    yield from ("", f"### {name}", "")
    if inspect.isfunction(member):
        kind = "async " if inspect.iscoroutinefunction(member) else ""
        yield from ("```python", kind + signature_of(name, member), "```", "")
    yield from (textwrap.dedent(inspect.getdoc(member) or "").strip(), "")
    if dataclasses.is_dataclass(member) and isinstance(member, type):
        yield from fields_of(member)
    elif inspect.isclass(member) and issubclass(member, enum.Enum):
        yield ", ".join(f"`{each.value}`" for each in member)
