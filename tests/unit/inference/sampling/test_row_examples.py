"""Which rows are shown: those with a fault first, of each a few, and some others."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from headrace_inference.domain.sampling.row_examples import (
    MAX_OF_A_FAULT,
    MAX_OTHERS,
    RowExamples,
)
from headrace_inference.domain.sampling.rows import SampledRequest, SampledRows
from tests.unit.inference.doubles import version
from tests.unit.inference.sampling.test_row_profiles import rows

RECORD = version()


def taken(*values: float, name: str = "r") -> SampledRows:
    """A row of a request of its own for each value."""
    requests = [SampledRequest(f"{name}{at}" if name else "") for at in range(len(values))]
    return replace(rows(values, record=RECORD), requests=requests)


def test_faulty_rows_are_few_and_others_a_sample() -> None:
    """Of a hundred missing values five are shown beside twenty others; then it begins anew."""
    examples = RowExamples()
    examples.take(taken(*[1.0] * 50, *[float("nan")] * 100))
    examples.seen(RECORD, 150)
    told = examples.examples()
    assert MAX_OF_A_FAULT + MAX_OTHERS == len(told)
    assert MAX_OF_A_FAULT <= sum(each.bins[0] == 0 for each in told)
    assert {1} == {*Counter(each.request.id for each in told).values()}
    assert [] == examples.examples()


def test_rows_without_an_id_are_not_shown() -> None:
    """Nobody could find them."""
    examples = RowExamples()
    examples.take(taken(1.0, float("nan"), name=""))
    examples.seen(RECORD, 2)
    assert [] == examples.examples()
