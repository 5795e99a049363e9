"""Every link of a page to a file of the repository, and to a heading in it, leads somewhere."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from headrace.model_files import foreign_formats
from tests.docs.pages import ROOT, Page, all_pages

NAMED_PAGE = re.compile(r"(docs/[\w/.-]+\.md)(?:#([\w-]+))?")


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


def test_pages_that_code_names_are_there() -> None:
    """Messages, help texts and comments name pages of docs/ that exist, and their headings."""
    listed = subprocess.run(
        ["git", "grep", "-IhoE", r"docs/[A-Za-z0-9_/.-]+\.md(#[a-z0-9-]+)?", "--", ":!CHANGELOG.md"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    named = {match.groups() for match in map(NAMED_PAGE.fullmatch, listed.stdout.split()) if match}
    assert ("docs/export-your-model.md", None) in named
    assert [] == [name for name in sorted(named, key=str) if not _is_there(*name)]


def test_errors_name_sections_of_the_page_on_exporting() -> None:
    """Whoever pushes a model of another framework is sent to a heading that is there."""
    kind = foreign_formats.ForeignFormat
    formats = [one for one in vars(foreign_formats).values() if isinstance(one, kind)]
    sections = {one.section for one in formats if one.section}
    assert sections
    assert sections <= Page(ROOT / foreign_formats.PAGE).anchors


def test_every_page_is_in_the_navigation() -> None:
    """mkdocs.yml lists each page of docs/, but for the decisions, which have a list of their own."""
    listed = re.findall(r"^ +- .*: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")]
    assert sorted(listed) == sorted(name for name in pages if not name.startswith("adr/0"))


def test_decisions_have_a_number_each_and_are_listed() -> None:
    """No two pages of docs/adr have one number, and the list has each page with its number."""
    folder = ROOT / "docs" / "adr"
    pages = sorted(page.name for page in folder.glob("0*.md"))
    numbers = [name.partition("-")[0] for name in pages]
    assert sorted(set(numbers)) == numbers
    listed = re.findall(r"^- \[(\d+)\]\((\S+)\)", (folder / "README.md").read_text(), re.MULTILINE)
    assert list(zip(numbers, pages, strict=True)) == sorted(listed)
    assert all(f"# {name[:4]} " == (folder / name).read_text()[:7] for name in pages)


def test_decisions_are_called_by_their_number() -> None:
    """A link to a decision that says a number says the page's."""
    said = re.compile(r"\[(?:ADR )?(\d{4})\]\((?:\S*/)?(\d{4})-\S+\.md\)")
    pairs = {pair for page in all_pages() for pair in said.findall(page.text)}
    assert len(pairs) > 20
    assert set() == {pair for pair in pairs if pair[0] != pair[1]}


def _is_there(name: str, heading: str | None) -> bool:
    page = Page(ROOT / name)
    return page.path.exists() and (heading is None or heading in page.anchors)


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
