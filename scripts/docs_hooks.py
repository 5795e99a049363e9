"""MkDocs' hook: links from docs/ to other files of the repository are checked, and work in the site.

They lead to HEADRACE_SOURCE_URL (`https://HOST/OWNER/headrace/blob/main`) where that is set, else to the
working tree that the site was built in.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).parents[1]
SOURCE = "https://source.invalid"
"""What stands for the source tree between the two steps, since MkDocs checks relative links itself."""
_LINK = re.compile(r"(?<=\]\()(\.\./[^)\s]*)(?=\))")


class _File(Protocol):
    src_uri: str
    dest_uri: str


class _Page(Protocol):
    @property
    def file(self) -> _File: ...


def on_page_markdown(markdown: str, page: _Page, **_: object) -> str:
    """Return the page with its links out of docs/ marked. Raises FileNotFoundError for a dead one."""
    return _LINK.sub(lambda match: _marked(match[1], page.file), markdown)


def on_page_content(html: str, page: _Page, **_: object) -> str:
    """Return the page with the marked links leading to the source tree."""
    return html.replace(SOURCE, os.environ.get("HEADRACE_SOURCE_URL", "") or _up(page.file))


def _marked(link: str, file: _File) -> str:
    name, hash_mark, fragment = link.partition("#")
    target = Path(os.path.normpath(ROOT / "docs" / file.src_uri / ".." / name))
    if target.is_relative_to(ROOT / "docs"):
        return link
    if not target.exists():
        raise FileNotFoundError(
            f"docs/{file.src_uri} links to {link}, which is not in the repository"
        )
    return f"{SOURCE}/{target.relative_to(ROOT).as_posix()}{hash_mark}{fragment}"


def _up(file: _File) -> str:
    """The way from a built page in site/ to the working tree."""
    return "/".join([".."] * (file.dest_uri.count("/") + 1))
