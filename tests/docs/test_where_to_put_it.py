"""docs/where-to-put-it.md: ten changes and more, at most five files each, and all of them exist."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "where-to-put-it.md").read_text(encoding="utf-8")
CHANGES = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
ROW = re.compile(r"^\| (?!File|---)", re.MULTILINE)
FILE = re.compile(r"`([\w.-]+(?:/[\w.-]+)+\.\w+|pyproject\.toml)`")


def test_there_are_ten_or_more() -> None:
    """A section for each kind of change was found."""
    assert len(CHANGES) >= 10


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_touches_at_most_five_files(change: str) -> None:
    """More would mean that the structure has one job in several places."""
    assert 1 <= len(ROW.findall(CHANGES[change])) <= 5


def test_files_exist() -> None:
    """Whoever follows the page finds what it names."""
    named = FILE.findall(PAGE)
    assert len(named) > 30
    assert [] == [name for name in named if not (ROOT / name).is_file()]
