"""How the command line reads its arguments and settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from headrace.cli import app
from headrace.cli.top import parse_window


@pytest.mark.parametrize(
    ("text", "expected"), [("30", 30.0), ("30s", 30.0), ("5m", 300.0), ("1.5h", 5400.0)]
)
def test_windows(text: str, expected: float) -> None:
    """A row each: a span as people write it, in seconds."""
    assert expected == parse_window(text)


@pytest.mark.parametrize("text", ["9" * 400 + "s", "", "0s", "5 m", "-1s", "1d", "m"])
def test_wrong_windows_are_refused(text: str) -> None:
    """What is no span of time is wrong usage."""
    with pytest.raises(typer.BadParameter):
        parse_window(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["modelz"], "No such command 'modelz'"),
        (["route"], "Missing argument"),
        (["push", "gone.onnx"], "headrace push NAME PATH"),
        (["models", "--registry", "http://node:8100"], "leave out http://"),
        (["push", "digits", "/gone.onnx"], "does not exist"),
        (["models", "--registry", "nowhere"], "nowhere"),
        (["--timeout", "0", "models"], "timeout_seconds"),
        (["route", "digits", "--rollback", "--stable", "1"], "--rollback goes alone"),
        (["route", "digits", "--no-canary", "--weight", "1"], "--no-canary goes without"),
        (["route", "digits", "--no-sticky", "--sticky", "header:a"], "--no-sticky goes without"),
        (["route", "digits", "--no-match", "--match", "header:a=1:2"], "--no-match goes without"),
        (["route", "digits", "--no-shadow", "--shadow", "2"], "--no-shadow goes without"),
        (["route", "digits", "--rollback", "--no-shadow"], "--rollback goes alone"),
        (["infer", "digits", "--input", "x=1", "--header", "x-user"], "--header is NAME=TEXT"),
        (["route", "digits", "--etag", "7"], "go with a change"),
        (["route", "digits", "--allow-unready"], "go with a change"),
        (["alias", "digits", "champion"], "give NAME"),
        (["alias", "digits", "champion", "--delete", "--allow-unready"], "go with NAME ALIAS"),
        (["push", "digits", __file__, "--allow-signature-change"], "give --alias"),
        (["import", "triton", ".", "--dry-run", "--wait"], "--dry-run changes nothing"),
        (["delete", "digits"], "--yes"),
        (["delete", "digits", "1", "--force", "--yes"], "--force is for a model"),
        (["infer", "digits", "x=1", "x=2"], "'x' is given twice"),
        (["infer", "digits", "1", "2"], "without a name is given twice"),
        (["delete"], "Missing argument"),
        (["top", "--window", "soon"], "soon"),
    ],
)
def test_wrong_usage(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row each: wrong arguments end with status 2, one error line and nothing on standard output."""
    status = app.run(arguments)

    output, error = capsys.readouterr()
    assert status == 2
    assert output == ""
    assert error.startswith("error: ")
    assert "[USAGE]" in error
    assert message in error


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ('backend: "pytorch"', "TRITON_BACKEND_UNSUPPORTED"),
        ("instance_group { count: -1 }", "CONFIG_PBTXT_INVALID"),
    ],
)
def test_a_config_of_triton_that_cannot_hold_stops_a_push(
    config: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is sent: the error says what is wrong with the config."""
    path = tmp_path / "config.pbtxt"
    path.write_text(config)
    status = app.run(["push", "digits", __file__, "--config", str(path)])

    assert status == 1
    assert f"[{reason}]" in capsys.readouterr().err


def test_wrong_usage_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the error is one JSON object."""
    app.run(["route", "--json"])

    assert json.loads(capsys.readouterr().err)["error"]["reason"] == "USAGE"


@pytest.mark.parametrize("arguments", [["--help"], ["route", "--help"], ["push", "-h"]])
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Help goes to standard output and is no error."""
    assert app.run(arguments) == 0
    assert "Usage: headrace" in capsys.readouterr().out


def test_exit_statuses_are_documented(capsys: pytest.CaptureFixture[str]) -> None:
    """The help of the whole says what each exit status means."""
    app.run(["--help"])

    assert "Exit status: 0 done; 1 refused" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the version of the package."""
    assert app.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("headrace 0.")


@pytest.mark.parametrize(
    "arguments",
    [
        ["versions", "team/iris"],
        ["infer", "team/iris@champion", "[1]"],
        ["push", "team/iris", __file__],
        ["route", "team/iris"],
        ["status", "team/iris"],
    ],
)
def test_names_that_no_model_has_are_told_before_anybody_is_asked(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A row each: the name, what is allowed, and the nearest that is, in one line."""
    assert app.run(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "'team/iris' is not a valid model name: use " in line
    assert "such as 'team-iris' [MODEL_NAME_INVALID]" in line


@pytest.mark.parametrize(
    ("command", "pattern"),
    [("grant", "fraud-*, '*' is any"), ("roles set", "infer,read:fraud-*,risk-* ('*'")],
)
def test_help_shows_patterns(
    command: str, pattern: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stars of patterns are no markup."""
    app.run([*command.split(), "--help"])
    words = capsys.readouterr().out.replace("│", " ").split()
    assert pattern in " ".join(words)
