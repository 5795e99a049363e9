"""The file of traces: what its lines say, in which order, and what becomes of those without room."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace_inference.adapters.trace_file import TraceFile, open_trace_file
from headrace_inference.domain.extensions.trace_records import (
    RECORD_BYTES,
    RequestFacts,
    TracedBatch,
    kept_tensors,
)


def batch(*ids: str, frequency: int = 0, **given: Any) -> TracedBatch:
    """Requests that ended together."""
    facts = [RequestFacts("m", "3", request_id, {}, "stable", 2) for request_id in ids]
    received = [100 + place for place in range(len(ids))]
    return TracedBatch(
        frequency, 1_500_000_000, facts, received, (200, 300, 400), 500, with_times=True, **given
    )


def lines_of(path: Path) -> list[dict[str, Any]]:
    """What the file has."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_all_of_a_request(tmp_path: Path) -> None:
    """Its number, when it ended, what it was, and each stage; numbers go on from batch to batch."""
    path = tmp_path / "traces"
    with open_trace_file(path) as file:
        file.keep(batch("a", 'quoted "ü"'))
        file.keep(batch("c"))

    lines = lines_of(path)
    assert [(0, "a", 100), (1, 'quoted "ü"', 101), (2, "c", 100)] == [
        (line["id"], line["request_id"], line["timestamps"][0]["ns"]) for line in lines
    ]
    assert {
        "id": 0,
        "at": 1.5,
        "model_name": "m",
        "model_version": "3",
        "request_id": "a",
        "parameters": {},
        "route": "stable",
        "rows": 2,
        "timestamps": [
            {"name": "REQUEST_START", "ns": 100},
            {"name": "QUEUE_START", "ns": 100},
            {"name": "COMPUTE_START", "ns": 200},
            {"name": "COMPUTE_INPUT_END", "ns": 300},
            {"name": "COMPUTE_OUTPUT_START", "ns": 400},
            {"name": "REQUEST_END", "ns": 500},
        ],
    } == lines[0]


def test_failures_and_tensors_are_in_the_line(tmp_path: Path) -> None:
    """The reason and the message; values of every datatype, as far as they are kept."""
    tensors = kept_tensors(
        [
            ("f", "FP16", np.array([[1.5, np.inf]], np.float16)),
            ("s", "BYTES", np.array([b"\xff", b"ok"], object)),
            ("l", "INT64", np.arange(5000)),
        ]
    )
    path = tmp_path / "traces"
    with open_trace_file(path) as file:
        file.keep(batch("a", tensors=[(tensors, ())]))
        file.keep(batch("b", error=("BROKEN", 'not "well"')))

    whole, failed = lines_of(path)
    assert ("BROKEN", 'not "well"') == (failed["error"], failed["message"])
    assert [
        ("f", "FP16", [1, 2], [1.5, "inf"], 0),
        ("s", "BYTES", [2], ["\\xff", "ok"], 0),
        ("l", "INT64", [5000], list(range(4096)), 904),
    ] == [tuple(tensor.values()) for tensor in whole["inputs"]]
    assert [] == whole["outputs"]


def test_new_files_begin_within_a_batch(tmp_path: Path) -> None:
    """Each has exactly so many traces, in order."""
    path = tmp_path / "traces"
    with open_trace_file(path) as file:
        file.keep(batch("a", "b", "c", "d", frequency=3))
        file.keep(batch("e", frequency=3))

    written = [lines_of(path.with_name(f"traces.{number}")) for number in range(2)]
    assert [["a", "b", "c"], ["d", "e"]] == [[line["request_id"] for line in of] for of in written]


def test_what_finds_no_room_is_dropped_counted_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The traces before it are written whole, and so are those that come when there is room again."""
    path = tmp_path / "traces"
    file = TraceFile(path, most_bytes=3 * RECORD_BYTES)
    file.keep(batch("a", "b"))
    file.keep(batch("c", "d"))  # nobody writes yet
    file.keep(batch("e"))
    with caplog.at_level(logging.WARNING), file.writing():
        pass
    with file.writing():
        file.keep(batch("f"))

    assert ["a", "b", "e", "f"] == [line["request_id"] for line in lines_of(path)]
    assert 2 == file.dropped
    (record,) = caplog.records
    assert 2 == vars(record)["dropped"]


def test_a_disk_that_takes_no_trace_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And once it takes them again, they are written."""
    path = tmp_path / "folder" / "traces"
    with caplog.at_level(logging.ERROR):
        for request_id in ("a", "b"):
            file = TraceFile(path)
            with file.writing():
                file.keep(batch(request_id, frequency=1))
                file.keep(batch(request_id, frequency=2))
        path.parent.mkdir()
        with file.writing():
            file.keep(batch("c"))

    assert ["c"] == [line["request_id"] for line in lines_of(path)]
    assert 2 == len(caplog.records)  # one for each file, of two writes each


def test_several_processes_may_share_a_file(tmp_path: Path) -> None:
    """Each write has whole lines."""
    path = tmp_path / "traces"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with open_trace_file(path) as first, open_trace_file(path) as second:
        for number in range(400):
            (first, second)[number % 2].keep(batch(str(number), "x"))
            os.write(descriptor, b"{}\n")
    os.close(descriptor)

    assert 1200 == len(lines_of(path))
