"""Errors that quote what callers sent: short enough for a call's trailers, and free of the request."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from headrace.errors import InvalidArgument
from headrace.status import trailing_metadata

CLIENTS_TAKE_BYTES = 8192


@pytest.mark.parametrize("character", ["a", "\0", "%", "é", "模", "🜲"])
def test_an_error_fits_the_trailers(character: str) -> None:
    """Whatever a caller's name is made of, message and details are less than clients take."""
    error = InvalidArgument("X", character * 100_000, facts={"name": character * 100_000})
    ((_, packed),) = trailing_metadata(error)
    assert len(quote(error.message)) + len(packed) * 4 / 3 < CLIENTS_TAKE_BYTES


def test_a_long_message_keeps_both_ends() -> None:
    """What is wrong stands at the beginning, and what to do at the end."""
    error = InvalidArgument("X", f"unexpected input '{'a' * 5000}': its inputs are [x]")
    assert error.message.startswith("unexpected input 'aaa")
    assert error.message.endswith("aaa': its inputs are [x]")


def test_a_short_message_stays() -> None:
    """A message of an ordinary length is as it was."""
    assert "模型" * 100 == InvalidArgument("X", "模型" * 100).message


def _refuse() -> None:
    try:
        int("x")
    except ValueError as cause:
        raise InvalidArgument("X", "y") from cause


def test_history_is_forgotten() -> None:
    """An error that was answered refers to no frame any more, nor to what it was raised from."""
    with pytest.raises(InvalidArgument) as raised:
        _refuse()
    error = raised.value
    error.forget_history()
    assert (None, None, None) == (error.__traceback__, error.__cause__, error.__context__)
