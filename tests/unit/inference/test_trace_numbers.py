"""The numbers of traces: no two lines of a file have the same."""

from __future__ import annotations

import json
from pathlib import Path

from headrace_inference.adapters.trace_file import TraceFile
from headrace_inference.app.tracing import open_tracer
from headrace_inference.settings import Settings


def first_id_of(settings: Settings) -> int:
    """The number of the first trace that a process with these settings would write."""
    with open_tracer(settings) as tracer:
        log = tracer._log
        assert isinstance(log, TraceFile)
        return log._first_id


def test_a_file_of_its_own_begins_with_nothing(tmp_path: Path) -> None:
    """As Triton's does."""
    assert 0 == first_id_of(settings(tmp_path))


def test_a_file_that_goes_on_gets_other_numbers(tmp_path: Path) -> None:
    """A process that ended wrote from 0 on, and its lines stay."""
    (tmp_path / "traces").write_text(json.dumps({"id": 0}) + "\n")

    assert 2**30 <= first_id_of(settings(tmp_path)) < 2**53


def test_replicas_that_share_a_port_count_apart(tmp_path: Path) -> None:
    """They may open the same file at the same moment."""
    shared = settings(tmp_path, shared_folder=tmp_path / "shared")

    assert 2**30 <= first_id_of(shared) < 2**53


def settings(folder: Path, shared_folder: Path | None = None) -> Settings:
    """Settings of a replica that writes traces."""
    return Settings(
        folder, "redis://x", "r:1", trace_file=folder / "traces", shared_folder=shared_folder
    )
