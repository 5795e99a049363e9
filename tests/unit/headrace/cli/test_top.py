"""The table of `headrace top` says what its numbers leave out."""

from __future__ import annotations

import pytest

from headrace.cli.top import view
from headrace.client import (
    Gap,
    Latency,
    MeasureValue,
    ReplicaStatistics,
    Statistics,
    VersionStatistics,
)

TEXT: dict[str, MeasureValue] = {"row_capacity": 16, "prompt_tokens": {"stable": 40}}


@pytest.mark.parametrize(
    ("gaps", "ahead_seconds", "told"),
    [
        ([], 0.0, ""),
        ([], 1.9, ""),
        ([], -2.0, "; incomplete: a replica's clock is wrong"),
        (["REPLICA_LOST"] * 2, 0.0, "; incomplete: a replica ended without its last report"),
        (["TRIMMED", "SOMETHING_NEW"], 0.0, "; incomplete: older windows are gone"),
        (
            ["REPORTS_MISSING", "REPLICA_SILENT"],
            3.0,
            "; incomplete: reports are missing, a replica is silent, a replica's clock is wrong",
        ),
    ],
)
def test_what_is_left_out(gaps: list[str], ahead_seconds: float, told: str) -> None:
    """Each reason once, in words; a reason that a newer monitor has is left to `--json`."""
    replica = ReplicaStatistics("a", 60.0, 0, ahead_seconds)
    statistics = Statistics(0.0, 60.0, (), (replica,), tuple(Gap(each, 0.0, 1.0) for each in gaps))
    assert f"no requests; 1 replica reported in the last 60 s{told}" == view(statistics)


@pytest.mark.parametrize(
    ("measures", "told"),
    [({}, ["4.0", "-"]), ({"row_capacity": 16}, ["4.0", "50%"]), (TEXT, ["-", "-"])],
)
def test_batches_are_told_of_tensors_alone(
    measures: dict[str, MeasureValue], told: list[str]
) -> None:
    """Runs of versions of text are steps of many requests, whose rows tell nothing."""
    none = Latency(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    version = VersionStatistics(
        *("m", 1, "", 2, 0, {}, {}, 8, 2, {4: 2}, 1.0),
        *(none, none, none, none),
        measures=measures,
    )
    table = view(Statistics(0.0, 60.0, (version,), (), ()))
    assert told == table.rows[0][-2:]
