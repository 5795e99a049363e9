"""A flag of a service, given to the command that starts the suite, is told where it goes."""

from __future__ import annotations

import pytest

from headrace.cli.app import run

HINT = "settings of its services go into the environment: HEADRACE_SLICE_BY=… headrace "


@pytest.mark.parametrize("command", ["up", "serve"])
def test_a_setting_of_a_service_goes_into_the_environment(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no flag of the suite's."""
    assert 2 == run([command, "--slice-by", "header:x-region"])
    assert HINT + command in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["up", "--replica", "2"], ["drift", "x", "--slice-by", "y"]])
def test_what_is_mistyped_is_no_setting(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A flag that is like one of the command's, or of a command that starts nothing."""
    assert 2 == run(arguments)
    assert "HEADRACE_" not in capsys.readouterr().err
