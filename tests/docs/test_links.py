"""Every link of a page to a file of the repository, and to a heading in it, leads somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import ROOT, Page, all_pages


def test_links_lead_to_files_and_headings() -> None:
    """No link names a file that is not there, or a heading that its page does not have."""
    assert [] == [wrong for page in all_pages() for wrong in dead_links(page)]


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    """A wrong file, a wrong heading and a wrong heading of the same page are all reported."""
    page = Page(tmp_path / "page.md")
    (tmp_path / "other.md").write_text("# Known here\n")
    page.path.write_text(
        "# `x.py`, and more\n[a](gone.md) [b](other.md#known-here) [c](other.md#unknown)\n"
        "[d](#xpy-and-more) [e](#nothing) `[f](code.md)`\n```\n[g](fenced.md)\n```\n"
    )
    assert ["gone.md", "other.md#unknown", "page.md#nothing"] == [
        wrong.rpartition(" -> ")[2] for wrong in dead_links(page)
    ]


def dead_links(page: Page) -> Iterator[str]:
    """The links of a page that lead nowhere, as `page -> target`."""
    base = ROOT if page.path.is_relative_to(ROOT) else page.path.parent
    for path, fragment in page.local_links():
        target = path.resolve()
        shown = str(target.relative_to(base)) if target.is_relative_to(base) else str(path)
        if not target.exists():
            yield f"{page.path.relative_to(base)} -> {shown}"
        elif fragment and target.suffix == ".md" and fragment not in Page(target).anchors:
            yield f"{page.path.relative_to(base)} -> {shown}#{fragment}"
