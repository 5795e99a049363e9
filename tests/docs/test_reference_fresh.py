"""docs/reference/ has the command line and the client as the code has them."""

from __future__ import annotations

import pytest

from scripts import reference_pages


@pytest.mark.parametrize("name", ["cli.md", "client.md"])
def test_page_is_fresh(name: str) -> None:
    """`make pages` would write the page as it is."""
    found = (reference_pages.FOLDER / name).read_text(encoding="utf-8")
    assert reference_pages.pages()[name] == found, "run: make pages"
