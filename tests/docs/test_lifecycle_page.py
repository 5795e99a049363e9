"""The table of docs/lifecycle.md: the files and tests that it names are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/lifecycle.md").read_text()
_ROW = re.compile(r"^\| (?P<what>.+?) \| (?P<where>.+?) \| (?P<shown>.+?) \|$", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")


def test_what_is_computed_is_where_the_page_says() -> None:
    """Every path in the second column is a file or a folder."""
    named = [path for row in rows() for path in _CODE.findall(row["where"])]
    assert len(named) > 30
    beside = ROOT / "headrace/lifecycle/optimisation"
    assert [] == [path for path in named if not any((at / path).exists() for at in (ROOT, beside))]


def test_what_shows_it_is_a_test() -> None:
    """Every test in the third column is defined in its file, or in the one named before it."""
    shown, missing = [each for row in rows() for each in _CODE.findall(row["shown"])], []
    place = Path()
    for text in shown:
        path, _, name = text.rpartition("::")
        if path or text.startswith("tests/"):
            place = ROOT / (path or text)
        if not place.exists() or (
            name.startswith("test_") and f"def {name}(" not in place.read_text()
        ):
            missing.append(text)
    assert len(shown) > 30
    assert [] == missing


def rows() -> list[re.Match[str]]:
    """The rows of the table of formulas."""
    table = PAGE.partition("## What is computed where")[2].partition("\n## ")[0]
    return [row for row in _ROW.finditer(table) if row["what"] not in ("What", "---")]
