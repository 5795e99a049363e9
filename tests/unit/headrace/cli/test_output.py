"""What the command line prints."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from headrace import errors
from headrace.cli import error_report, output


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.NotFound("MODEL_NOT_FOUND", "no"), 1),
        (errors.Internal("INTERNAL", "no"), 1),
        (errors.Unavailable("STATE_UNAVAILABLE", "no"), 3),
        (errors.DeadlineExceeded("DEADLINE_EXCEEDED", "no"), 4),
    ],
)
def test_exit_statuses(error: errors.HeadraceError, expected: int) -> None:
    """A row each: an error, and the status that it ends a command with."""
    assert expected == error_report.exit_status(error)


def test_an_error_is_one_line_its_violations_and_a_remedy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is wrong, where, and what to do; control characters of others do not reach the terminal."""
    error = errors.NotFound(
        "MODEL_NOT_FOUND",
        "no model \x1b[31mx\nhere",
        violations=(errors.FieldViolation("name", "letters only"),),
    )

    error_report.report(error, as_json=False)

    assert capsys.readouterr().err.splitlines() == [
        "error: no model  [31mx here [MODEL_NOT_FOUND]",
        "  name: letters only",
        "  `headrace models` lists the models, `headrace push` creates one",
    ]


def test_an_error_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A program gets reason, message, facts and violations."""
    error = errors.InvalidArgument(
        "NAME_INVALID", "no", facts={"a": "b"}, violations=(errors.FieldViolation("f", "d"),)
    )

    error_report.report(error, as_json=True)

    assert json.loads(capsys.readouterr().err) == {
        "error": {
            "reason": "NAME_INVALID",
            "message": "no",
            "remedy": "",
            "facts": {"a": "b"},
            "violations": [{"field": "f", "description": "d"}],
        }
    }


def test_a_table_without_a_terminal_is_plain_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Long cells are not cut, and markup or control characters in them are text."""
    long = "[red]" + "x" * 300 + "\x1b"

    output.show(None, as_json=False, human=lambda: output.table(("a", "b>"), [(long, 1)]))

    heading, line = capsys.readouterr().out.splitlines()
    assert heading.split() == ["A", "B"]
    assert line.split() == [long.replace("\x1b", ""), "1"]


def test_numbers_that_json_has_not_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    """Every document that is printed is JSON."""
    output.print_json({"data": [float("nan"), float("inf"), 1.5]})

    assert json.loads(capsys.readouterr().out) == {"data": [None, None, 1.5]}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (output.size(999), "999 B"),
        (output.size(1_500_000), "1.5 MB"),
        (output.duration(0.0000123), "12.3 µs"),
        (output.duration(0.00456), "4.56 ms"),
        (output.duration(2.5), "2.5 s"),
    ],
)
def test_amounts(shown: str, expected: str) -> None:
    """A row each: sizes and durations as people read them."""
    assert expected == shown


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [("a", 1, ""), ("a-long-name", 12345, "größer")],
        [("数字", 1, "模型"), ("", 22, "[bold]no markup[/bold]"), ("x\ty", 3, "two\nlines")],
    ],
)
def test_a_table_has_the_same_lines_without_rich(rows: list[tuple[object, ...]]) -> None:
    """Off a terminal, tables are written line by line."""
    table = output.table(("model", "newest>", "description"), rows)
    drawn = io.StringIO()
    Console(file=drawn, width=output.UNBOUNDED_WIDTH, highlight=False).print(table)
    assert drawn.getvalue() == "".join(table.lines())
