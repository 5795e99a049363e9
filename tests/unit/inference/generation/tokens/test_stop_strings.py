"""How stop strings are found."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_inference.domain.generation.tokens.stop_strings import StopStrings

_text = st.text("abc", max_size=12)
_stops = st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=4)


def _plain(
    text: str, stops: Sequence[str], included: bool, unsearched: int = 0
) -> tuple[str, str | None]:
    """The same, letter by letter over the whole text."""
    for end in range(unsearched + 1, len(text) + 1):
        found = [stop for stop in stops if text[:end].endswith(stop)]
        if found:
            stop = max(found, key=len)
            return text[: end if included else end - len(stop)], stop
    return text, None


@settings(max_examples=200, deadline=None)
@given(st.lists(_text, max_size=8), _stops, st.booleans(), st.integers(0, 4))
def test_borders_of_pieces_change_nothing(
    pieces: list[str], stops: list[str], included: bool, unsearched: int
) -> None:
    """The text is as if it had come at once; what is held back might have become a stop string."""
    found = StopStrings(stops, included=included)
    sent, stopped_by = "", None
    for number, piece in enumerate(pieces):
        text, stopped_by = found.push(piece, searched=number >= unsearched)
        sent += text
        if stopped_by is not None:
            break
        held = "".join(pieces[: number + 1])[len(sent) :]
        assert not held or any(stop != held and stop.startswith(held) for stop in stops)
    sent += found.rest()
    skipped = len("".join(pieces[:unsearched]))
    assert _plain("".join(pieces), stops, included, skipped) == (sent, stopped_by)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["one\n", "\ntwo"], ("one", "\n\n")),
        (["one\n", "two"], ("one\ntwo", None)),
        (["a\n\nb STOP"], ("a", "\n\n")),
        (["x ST", "O", "P y"], ("x ", "STOP")),
        (["x ST", "OX"], ("x STOX", None)),
        (["\n"], ("\n", None)),
    ],
)
def test_a_stop_string_ends_the_text(pieces: list[str], expected: tuple[str, str | None]) -> None:
    """The first to be complete wins, and is not part of the text."""
    found = StopStrings(["STOP", "\n\n"])
    sent, stopped_by = "", None
    for piece in pieces:
        text, stopped_by = found.push(piece)
        sent += text
        if stopped_by is not None:
            break
    assert expected == (sent + found.rest(), stopped_by)
