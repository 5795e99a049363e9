"""When a model of a folder is gone."""

from __future__ import annotations

import pytest

from headrace_inference.adapters.model_folder.follower import vanished


@pytest.mark.parametrize(
    ("held", "before", "now", "expected"),
    [
        ("ab", "ab", "ab", ""),
        ("ab", "ab", "a", ""),  # it may be about to be replaced
        ("ab", "a", "a", "b"),
        ("ab", "a", "ab", ""),
        ("a", "ab", "a", ""),
        ("ab", "", "", "ab"),
    ],
)
def test_a_model_is_gone_that_two_looks_did_not_find(
    held: str, before: str, now: str, expected: str
) -> None:
    """Not at the first: whoever replaces its folder renames two."""
    assert set(expected) == vanished(held, before, now)
