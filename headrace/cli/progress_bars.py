"""Bars on standard error that say how far a command is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from headrace.cli import output
from headrace.cli.command import Cli


class Bars(Protocol):
    """Draws a bar for each phase."""

    def __call__(self, phase: str, done: int = 0, total: int = 0, amount: str = "") -> None:
        """Say how far a phase is. With a total of 0 it has no measure, and the bar moves without end."""


@contextmanager
def progress_bars(cli: Cli) -> Iterator[Bars]:
    """Draw bars while inside; nothing where nobody looks."""
    if cli.as_json or not sys.stderr.isatty():
        yield lambda *_, **__: None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[amount]}"))
    with Progress(*columns, console=output.console(stderr=True), transient=True) as drawn:
        tasks: dict[str, Any] = {}

        def report(phase: str, done: int = 0, total: int = 0, amount: str = "") -> None:
            if phase not in tasks:
                tasks[phase] = drawn.add_task(phase, total=None, amount="")
            if total:
                drawn.update(tasks[phase], completed=done, total=total, amount=amount)

        yield report
