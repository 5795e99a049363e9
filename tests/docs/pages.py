"""Markdown pages of the repository: their prose, headings and links."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @cached_property
    def text(self) -> str:
        """The page without its blocks of code."""
        return _FENCE.sub("", self.path.read_text(encoding="utf-8"))

    @cached_property
    def anchors(self) -> set[str]:
        """The anchors of its headings, as GitHub and our site make them."""
        return {anchor(heading) for heading in _HEADING.findall(self.text)}

    def local_links(self) -> Iterator[tuple[Path, str]]:
        """The files that the page links to, each with the anchor in it or an empty text."""
        for target in _LINK.findall(_CODE.sub("`", self.text)):
            if "://" not in target and not target.startswith("mailto:"):
                name, _, fragment = target.partition("#")
                yield (self.path.parent / name if name else self.path), fragment


def anchor(heading: str) -> str:
    """The anchor of a heading: small letters, hyphens for blanks, no other punctuation."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def all_pages() -> list[Page]:
    """Every Markdown file of the repository that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    names = filter(None, listed.stdout.split("\0"))
    return [Page(ROOT / name) for name in sorted(names) if (ROOT / name).exists()]
