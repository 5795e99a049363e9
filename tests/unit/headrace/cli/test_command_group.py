"""Which words are commands, and what is imported for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from headrace.cli import app
from headrace.cli.command_group import MODULES, PANELS
from headrace.cli.synonyms import ADVICE, SYNONYMS

NEVER_FOR_HELP = {"grpc", "google", "numpy", "ml_dtypes", "onnx", "onnxruntime", "redis", "aiohttp"}
NEVER_FOR_THE_CATALOG = {"numpy", "ml_dtypes", "onnx", "onnxruntime", "redis", "aiohttp", "rich"}
_IMPORTED = """
import sys
from headrace.cli.app import run
for arguments in {arguments}:
    run(arguments)
print(sorted(name for name in sys.modules if "." not in name), file=sys.stderr)
"""


def imported_by(*arguments: list[str]) -> set[str]:
    """The packages that are imported in a new process that runs these commands."""
    code = _IMPORTED.format(arguments=repr(arguments))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names: list[str] = eval(ran.stderr.splitlines()[-1])
    return set(names)


def test_help_imports_nothing_heavy() -> None:
    """Neither the help of all commands nor that of each imports what only their work needs."""
    imported = imported_by(["--help"], *([name, "--help"] for name in MODULES))

    assert set() == imported & NEVER_FOR_HELP
    assert "typer" in imported


def test_the_help_has_commands_by_what_they_are_for(capsys: pytest.CaptureFixture[str]) -> None:
    """A panel each, with its commands in their order."""
    assert app.run(["--help"]) == 0
    shown = capsys.readouterr().out
    places = [shown.index(f"─ {panel} ─") for panel in PANELS]
    assert sorted(places) == places
    ends = [*places[1:], len(shown)]
    for (panel, commands), start, end in zip(PANELS.items(), places, ends, strict=True):
        lines = [line.split(" ")[1] for line in shown[start:end].splitlines() if "│ " in line]
        assert list(commands) == list(filter(None, lines)), panel


def test_commands_of_the_catalog_import_no_arrays() -> None:
    """What asks the registry needs gRPC and no numpy, whatever becomes of the call."""
    imported = imported_by(["models", "--registry", "127.0.0.1:1", "--timeout", "0.1"])

    assert "grpc" in imported
    assert set() == imported & NEVER_FOR_THE_CATALOG


def test_only_the_chosen_command_is_imported() -> None:
    """A command's module is imported when the command is called."""
    code = (
        "import sys; from headrace.cli.app import run; run(['versions', '--help']); "
        "print(sorted(m for m in sys.modules if m.startswith('headrace.cli.')), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "headrace.cli.versions" in ran.stderr
    assert "headrace.cli.push" not in ran.stderr


@pytest.mark.parametrize(("word", "command"), SYNONYMS.items())
def test_other_words_are_understood(
    word: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row each: the help of the word is that of the command."""
    assert app.run([word, "--help"]) == 0
    assert f"Usage: headrace {command} " in capsys.readouterr().out


def test_other_words_are_no_commands_of_ours() -> None:
    """A word is a command, a synonym of one, or has advice: never two of them."""
    assert set() == MODULES.keys() & (SYNONYMS.keys() | ADVICE.keys())
    assert set() == SYNONYMS.keys() & ADVICE.keys()
    assert set() == set(SYNONYMS.values()) - MODULES.keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["modles"], "Did you mean 'models'"),
        (["deploy", "model.onnx"], "headrace push NAME model.onnx"),
        (["rollback", "iris"], "--rollback"),
        (["iris.onnx"], "headrace serve iris.onnx"),
        (["models", "--jason"], "--json"),
    ],
)
def test_misspelt_commands_are_told_the_right_one(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row each: wrong usage, with what was meant, in two lines."""
    assert app.run(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert 2 == len(error.splitlines())
