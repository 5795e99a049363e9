"""Pages escape what others wrote, plots are the same bytes each time, files are whole or as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.lifecycle.reports import (
    ReportFile,
    as_png,
    figure,
    new_figure,
    page,
    plain_text,
    table,
    warning,
    write_whole,
)

HOSTILE = "<script>alert(1)</script>"


def test_what_others_wrote_is_text_on_a_page() -> None:
    """Titles, headings, cells, captions and warnings are escaped; only numbers are aligned as such."""
    parts = (table((HOSTILE,), [(HOSTILE,), (0.12345,), (None,)]), warning(HOSTILE))
    written = page(HOSTILE, (*parts, figure(b"png", HOSTILE), figure(b"", "none")))
    assert "<script" not in written
    assert 7 == written.count("&lt;script&gt;")
    assert 1 == written.count("<img ")
    assert '<td class="n">0.1235</td>' in written
    assert "<td></td>" in written


def test_a_plot_is_the_same_bytes_each_time() -> None:
    """There is no time in a PNG, and what stands between dollars is no mathematics."""
    drawn = []
    for _ in range(2):
        made = new_figure(2, 2)
        made.suptitle(plain_text("$x_$ and\n" + "y" * 30, 12))
        drawn.append(as_png(made))
    assert drawn[0] == drawn[1]
    assert r"\$x_\$ and y…" == plain_text("$x_$ and\ny" + "y" * 30, 11)
    assert "image/png" == ReportFile("plot.png", drawn[0]).media_type


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    """A name that cannot be written leaves nothing beside it."""
    path = tmp_path / "report.html"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert b"two" == path.read_bytes()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_whole(tmp_path / "folder", b"three")
    assert ["folder", "report.html"] == sorted(each.name for each in tmp_path.iterdir())
