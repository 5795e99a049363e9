"""The files of the console: served whole, packed, kept by browsers, and with nothing from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest

from tests.rpc.monitors import RunningMonitor, running_monitor

BROWSER = {"Accept": "text/html"}
WEB = Path(str(resources.files("headrace_monitor.wire.console") / "web"))
OURS = sorted(file for file in WEB.glob("*.js"))
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
IMPORT = re.compile(r"""(?:from|import)\s*\(?\s*"(\./[^"]+)\"""")


class Page(HTMLParser):
    """What a page loads, and what of it is inline."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "link", "img"):
            self.loaded += [str(given[name]) for name in ("src", "href") if name in given]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        self.inline += [name for name in given if name == "style" or name.startswith("on")]


async def page_of(monitor: RunningMonitor) -> Page:
    """The console's page, read."""
    async with monitor.http.get("/", headers=BROWSER) as response:
        page = Page()
        page.feed(await response.text())
    return page


async def test_the_page_names_its_suite_and_loads_from_here_alone(tmp_path: Path) -> None:
    """The name is escaped, nothing is inline, and the policy lets nothing else run."""
    async with running_monitor(tmp_path, namespace="<b>prod</b>") as monitor:
        async with monitor.http.get("/", headers=BROWSER) as response:
            text, headers = await response.text(), response.headers
        page = await page_of(monitor)
    policy = headers["Content-Security-Policy"]
    assert "&lt;b&gt;prod&lt;/b&gt;" in text
    assert ("<b>prod" in text, "{{" in text) == (False, False)
    assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert [] == page.inline
    assert [] == [each for each in page.loaded if not each.startswith("/console/")]


async def test_what_the_page_loads_is_kept_for_ever_and_packed(tmp_path: Path) -> None:
    """Each file has its type, comes packed, and is not sent again to who has it."""
    async with running_monitor(tmp_path) as monitor:
        for path in (await page_of(monitor)).loaded:
            async with monitor.http.get(path, headers={"Accept-Encoding": "gzip"}) as response:
                body, headers = await response.read(), response.headers
            assert TYPES[Path(path).suffix] == response.content_type
            assert "public, max-age=31536000, immutable" == headers["Cache-Control"]
            assert "nosniff" == headers["X-Content-Type-Options"]
            assert (WEB / path.split("/", 3)[3]).read_bytes() == body
            assert len(body) < 1024 or headers["Content-Encoding"] == "gzip"
            again = {"Accept-Encoding": "gzip", "If-None-Match": headers["ETag"]}
            async with monitor.http.get(path, headers=again) as response:
                assert (304, b"") == (response.status, await response.read())


async def test_files_come_plain_to_who_takes_no_gzip(tmp_path: Path) -> None:
    """The bytes are those of the file, and their tag is another one."""
    async with running_monitor(tmp_path) as monitor:
        path = next(each for each in (await page_of(monitor)).loaded if each.endswith("uplot.js"))
        tags = []
        for encoding in ("gzip", "identity"):
            async with monitor.http.get(path, headers={"Accept-Encoding": encoding}) as response:
                tags.append(response.headers["ETag"])
                plain = "Content-Encoding" not in response.headers
    assert (True, 2) == (plain, len(set(tags)))


async def test_the_page_itself_is_asked_for_each_time(tmp_path: Path) -> None:
    """It is not sent again while it is the same; another suite's is another."""
    tags = []
    for name in ("one", "one", "two"):
        async with running_monitor(tmp_path / "data", namespace=name) as monitor:
            async with monitor.http.get("/", headers=BROWSER) as response:
                tags.append(response.headers["ETag"])
                assert "no-cache" == response.headers["Cache-Control"]
            known = {**BROWSER, "If-None-Match": tags[-1]}
            async with monitor.http.get("/", headers=known) as response:
                assert 304 == response.status
    assert (tags[0], True) == (tags[1], tags[1] != tags[2])


@pytest.mark.parametrize(
    "name", ["old/main.js", "{}/missing.js", "{}/index.html", "{}/..%2fapi.py"]
)
async def test_other_files_are_not_there(tmp_path: Path, name: str) -> None:
    """A path of another version, or of no file, is a 404 that nobody keeps."""
    async with running_monitor(tmp_path) as monitor:
        digest = (await page_of(monitor)).loaded[0].split("/")[2]
        async with monitor.http.get(f"/console/{name.format(digest)}") as response:
            assert (404, None) == (response.status, response.headers.get("Cache-Control"))


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_modules_load_what_is_there_and_make_no_structure_of_text(file: Path) -> None:
    """Every import leads to a file, and what models are named never becomes HTML or a script."""
    text = file.read_text(encoding="utf-8")
    assert [] == [each for each in IMPORT.findall(text) if not (WEB / each).is_file()]
    for unsafe in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "new Function"):
        assert unsafe not in text
    assert len(text.splitlines()) < 350


def test_libraries_come_with_versions_and_licences() -> None:
    """Each that is vendored is named with its version, and its licence lies beside it."""
    named = [line.split() for line in (WEB / "vendor" / "VERSIONS").read_text().splitlines()]
    assert {"preact", "htm", "uplot", "echarts"} <= {name for name, _, _ in named}
    assert [] == [name for name, *_ in named if not (WEB / f"vendor/LICENSE.{name}.txt").is_file()]
