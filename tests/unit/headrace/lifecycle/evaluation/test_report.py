"""The report is one page without a script, its plots are PNG, and what others wrote is escaped."""

from __future__ import annotations

import json
import re

import numpy as np

from headrace.lifecycle.evaluation import Evaluation, report_files
from headrace.lifecycle.evaluation.report.plots import plots
from headrace.lifecycle.evaluation.storing import MOST_METRICS, folder_of, stored_metrics
from tests.unit.headrace.lifecycle.evaluation.answering import Array, evaluated

HOSTILE = "<script>alert('$1$')</script>\n\x00"
ROWS = 60


def scores(x: Array) -> dict[str, Array]:
    """Scores of three classes by thirds."""
    return {"logits": np.float32(3) * (np.arange(3) == x // 20).astype(np.float32)}


async def of_classes() -> Evaluation:
    """Three classes with hostile names, in columns with hostile names."""
    x = np.arange(ROWS, dtype=np.float32)
    names = np.array(["a", HOSTILE, "$b$"], object)
    columns = {
        "x": x,
        HOSTILE: names[(x // 20).astype(int)],
        "<b>part</b>": np.where(x % 2, HOSTILE, "<i>"),
    }
    return await evaluated(
        scores,
        columns,
        target=(HOSTILE,),
        classes=tuple(names),
        slice_by=("<b>part</b>",),
        resamples=50,
    )


async def test_a_report_of_classes() -> None:
    """All plots are there; nothing hostile is in the page but as text."""
    found = await of_classes()
    html, document, *drawn = report_files(found, ("<u>rule</u>: holds",))
    assert ["report.html", "report.json"] == [html.name, document.name]
    assert {
        "confusion.png",
        "roc.png",
        "precision_recall.png",
        "calibration.png",
        "slices.png",
    } == {each.name for each in drawn}
    assert all(each.data.startswith(b"\x89PNG") for each in drawn)
    page = html.data.decode()
    assert [] == re.findall(r"<script|<b>|<i>|<u>|javascript:|src=\"http", page)
    assert "&lt;script&gt;" in page
    assert 5 == page.count("data:image/png;base64,")
    told = json.loads(document.data)
    assert ["a", HOSTILE, "$b$"] == told["classes"]
    assert len(found.metrics) == len(told["metrics"])


async def test_a_report_of_numbers() -> None:
    """Answers beside the truth, and errors."""
    x = np.arange(ROWS, dtype=np.float32)
    found = await evaluated(lambda x: {"out": x[:, 0] + 1}, {"x": x, "y": x})
    first, second = plots(found), plots(found)
    assert ["answers", "residuals"] == [plot.name for plot in first]
    assert [each.png for each in first] == [each.png for each in second]  # no time is in them


async def test_what_is_kept_of_many_metrics() -> None:
    """Those of all classes and of slices go first; a folder's name is plain."""
    found = await of_classes()
    kept = stored_metrics(found.task, found.metrics)
    assert len(kept) <= MOST_METRICS
    order = [(bool(each.slice), "." in each.name) for each in kept]
    assert order == sorted(order, key=lambda each: (each[1], each[0]))
    assert all(each.slice.isprintable() for each in kept)
    assert "evaluation/script-alert-1-script" == folder_of(HOSTILE)
    assert "evaluation/data" == folder_of("数据")
