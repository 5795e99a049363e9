"""Prints the results of commands: tables and lines for people, JSON for programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headrace.cli.error_report import printable

if TYPE_CHECKING:
    from rich.console import Console

    from headrace.cli.table import Table

LONG_TABLE = 200
"""Rows from which Rich takes longer to draw than anybody waits gladly."""
UNBOUNDED_WIDTH = 10_000
"""Where no terminal has a width, no line is cut or wrapped."""


def show(value: object, *, as_json: bool, human: Callable[[], Any]) -> None:
    """Print `value` as one JSON document in a line, or what `human()` makes of it."""
    if as_json:
        print_json(value)
    else:
        for item in _items(human()):
            _print(item)
        sys.stdout.flush()


def _print(item: Any) -> None:
    from headrace.cli.table import Table

    if isinstance(item, Table) and not item.title and _as_lines(item):
        sys.stdout.writelines(item.lines())
    else:
        console().print(item, highlight=False, soft_wrap=isinstance(item, str), markup=False)


def _as_lines(table: Table) -> bool:
    """Return whether a table is written as plain lines: where it looks the same, or is long and fits."""
    if not sys.stdout.isatty():
        return True
    width = os.get_terminal_size(sys.stdout.fileno()).columns
    return len(table.rows) > LONG_TABLE and len(next(table.lines())) <= width


def _items(shown: Any) -> Iterable[Any]:
    return shown if isinstance(shown, list) else [shown]


def print_json(value: object) -> None:
    """Print a value as one JSON document in a line; numbers that JSON has not are null."""
    import msgspec

    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def console(*, stderr: bool = False) -> Console:
    """A console for people; without a terminal it writes plain text of any width."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else UNBOUNDED_WIDTH

    class OurConsole(Console):
        def on_broken_pipe(self) -> None:  # Rich's own ends the process with status 1
            raise BrokenPipeError

    return OurConsole(file=stream, width=width, highlight=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> Table:
    """A table without lines; columns whose heading ends in '>' are aligned to the right."""
    from headrace.cli.table import Table

    return Table(columns, [[printable(str(cell)) for cell in row] for row in rows], title)


@contextmanager
def quiet_when_nobody_reads() -> Iterator[None]:
    """A reader of our output that goes away (`| head`) ends the command without a word."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # What Python still holds for the pipe goes nowhere, or it would complain at its own end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def size(size_bytes: int) -> str:
    """A size for people."""
    amount = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def number(value: float) -> str:
    """A figure of data to four digits, in thousands where it is large."""
    rounded = float(f"{value:.4g}")
    return f"{rounded:,.0f}" if 10_000 <= abs(rounded) < 1e12 else f"{value:.4g}"


def moment(seconds: float) -> str:
    """A time since the epoch as local date and time."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """A duration for people, to three digits."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"
