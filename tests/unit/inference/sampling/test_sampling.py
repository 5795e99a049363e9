"""Tests of sampling: which rows are copied, how many, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from headrace.state.records import VersionRecord
from headrace.telemetry.sampled_ids import is_sampled
from headrace_inference.domain.sampling.budget import BYTES_PER_SECOND, Demand, allotments
from headrace_inference.domain.sampling.copying import size_of
from headrace_inference.domain.sampling.rows import SampledRows
from headrace_inference.domain.sampling.sampler import TICK_SECONDS, Sampler
from headrace_inference.domain.sampling.slices import slicings
from headrace_inference.domain.sampling.version_sampler import (
    EXAMPLE_ROWS,
    Drained,
    SamplingRules,
    VersionSampler,
)
from headrace_inference.domain.scheduling.requests import BatchResult, InferenceRequest, Parameter
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import VersionCounters
from tests.unit.inference.doubles import (
    DoublingRunner,
    FakeClock,
    RecordingSink,
    header,
    served,
    version,
)


class Collected:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.taken: list[SampledRows] = []
        self.rows_seen = 0

    def take(self, rows: SampledRows) -> None:
        self.taken.append(rows)

    def seen(self, record: VersionRecord, rows: int) -> None:
        self.rows_seen += rows

    @property
    def values(self) -> list[float]:
        """The first input's first column of all rows."""
        return [
            value
            for rows in self.taken
            if rows.inputs[0] is not None
            for value in rows.inputs[0][:, 0].tolist()
        ]


@dataclass
class Header:
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass
class Caller:
    """What a wire knows of a request."""

    id_text: str = ""
    metadata: Sequence[tuple[str, str]] = ()
    header: Header = field(default_factory=Header)
    certificate: None = None


LOADED = served(version())
PLAN = LOADED.plan_request([header(1)], [])


def result(
    loaded: LoadedVersion, first: int, rows_each: Sequence[int], callers: Sequence[Caller | None]
) -> BatchResult:
    """A run of requests whose rows count up from `first`."""
    requests = [
        InferenceRequest(
            PLAN,
            [],
            "stable",
            0,
            None,
            VersionCounters(),
            RecordingSink(),
            None,
            caller,
        )
        for caller in callers
    ]
    total = sum(rows_each)
    values = np.repeat(np.arange(first, first + total, dtype=np.float32)[:, np.newaxis], 2, axis=1)
    firsts = [0, *np.cumsum(rows_each).tolist()]
    return BatchResult(requests, [values * 2, np.arange(total)], firsts, (0, 0, 0), [values])


def opened(sampler: Sampler) -> VersionSampler:
    found = sampler.open(version(), {}, VersionCounters().lock)
    assert found is not None
    return found


def run(sampler: VersionSampler, batches: int, rows: int, first: int = 0) -> None:
    for batch in range(batches):
        made = result(LOADED, first + batch * rows, [rows], [None])
        sampler.look_at(made, rows)


def test_all_rows_are_taken_where_there_are_few() -> None:
    """Whoever is asked less than the budget has each of its rows looked at, once, as a copy."""
    collected, clock = Collected(), FakeClock()
    sampler = Sampler(clock, 2000, SamplingRules(), [collected])
    looking = opened(sampler)
    made = result(LOADED, 5, [1, 3], [None, None])
    looking.look_at(made, 4)
    made.inputs[0][:] = -1  # type: ignore[index]  # the message's memory is used for something else
    sampler.tick()
    assert [5.0, 6.0, 7.0, 8.0] == collected.values
    assert 4 == collected.rows_seen


def test_a_budget_is_held_and_each_row_is_as_likely() -> None:
    """Of many more rows so many are taken as the budget says, from everywhere alike."""
    collected, clock = Collected(), FakeClock()
    sampler = Sampler(clock, 400, SamplingRules(), [collected])
    looking = opened(sampler)
    for tick in range(40):
        run(looking, 50, 64, first=tick * 3200)
        clock.advance(TICK_SECONDS)
        sampler.tick()
    assert 40 * 3200 == collected.rows_seen
    values = np.array(collected.values)
    expected = 40 * 400 * TICK_SECONDS
    assert abs(len(values) - expected) < 0.15 * expected
    by_place, _ = np.histogram(values % 3200, 8, (0, 3200))
    assert (np.abs(by_place - len(values) / 8) < 6 * np.sqrt(len(values))).all()  # taken by eights


def test_a_surge_takes_a_bounded_number_of_rows_evenly() -> None:
    """A version that was idle and gets a thousand times its part keeps a few, late ones as early ones."""
    collected, clock = Collected(), FakeClock()
    sampler = Sampler(clock, 4000, SamplingRules(), [collected])
    run(looking := opened(sampler), 800, 256)
    drained: list[int] = []
    drain = looking.drain

    def counted() -> Drained:
        found = drain()
        drained.append(sum(taken.rows for taken in found.taken))
        return found

    looking.drain = counted  # type: ignore[method-assign]
    sampler.tick()
    assert drained[0] < 40_000
    values = np.array(collected.values)
    assert 500 < len(values) < 6000
    assert 0.3 < (values < 800 * 128).mean() < 0.7


def test_large_rows_are_fewer() -> None:
    """The bytes of rows and the time that they take are bounded as their number is, and divided fairly."""
    large = BYTES_PER_SECOND / 10
    allotted = allotments([Demand(1000, large), Demand(5, large), Demand(40)], 2000, 1.0)
    assert [5.0, 5.0, 40.0] == [round(rows, 6) for rows in allotted]
    assert [10.0] == allotments([Demand(1000, 0.0, 0.001)], 2000, 1.0)


def test_requests_are_taken_by_their_ids() -> None:
    """Whoever knows an id and the share knows whether its rows were taken; one without is in none."""
    ids = [f"request-{number}" for number in range(400)]
    collected = Collected()
    sampler = Sampler(FakeClock(), 0, SamplingRules(id_share=0.25), (), [collected])
    looking = opened(sampler)
    for name in ids:
        looking.look_at(result(LOADED, 0, [2, 1], [Caller(name), Caller()]), 3)
    sampler.tick()
    taken = [request.id for rows in collected.taken for request in rows.requests]
    expected = [name for name in ids if is_sampled(name, 0.25)]
    assert [name for name in expected for _ in range(2)] == taken
    assert [0, 1] * len(expected) == [at for rows in collected.taken for at in rows.row_numbers]
    assert 60 < len(expected) < 140


def test_some_rows_of_requests_with_ids_are_shown_whole() -> None:
    """So many of a version at a time, with inputs and outputs, whoever else takes rows by their ids."""
    shown = Collected()
    sampler = Sampler(FakeClock(), 0, SamplingRules(id_share=1.0), (), (), [shown])
    looking = opened(sampler)
    for number in range(5):
        looking.look_at(result(LOADED, 0, [3, 1], [Caller(f"r-{number}"), Caller()]), 4)
    sampler.tick()
    taken = [request.id for rows in shown.taken for request in rows.requests]
    assert EXAMPLE_ROWS == len(taken)
    assert {1} == {len(rows.inputs) for rows in shown.taken}
    sampler.tick()
    assert EXAMPLE_ROWS == sum(map(len, shown.taken))


def test_rows_by_ids_are_bounded_and_the_others_counted() -> None:
    """Until the next tick so many are taken; what is dropped is about the share of what came after."""
    collected = Collected()
    rules = SamplingRules(id_share=0.25, id_rows=lambda: 10.0)
    sampler = Sampler(FakeClock(), 0, rules, (), [collected])
    looking = opened(sampler)
    for number in range(4000):
        looking.look_at(result(LOADED, 0, [1], [Caller(f"request-{number}")]), 1)
    sampler.tick()
    assert 10 == sum(len(rows) for rows in collected.taken)
    assert 900 < sampler.dropped_by_id < 1000
    looking.look_at(result(LOADED, 0, [1] * 400, [Caller(str(n)) for n in range(400)]), 400)
    sampler.tick()
    assert 20 == sum(len(rows) for rows in collected.taken)


def test_an_id_that_was_in_a_share_is_in_every_larger_one() -> None:
    """A share may grow: what was sampled stays so."""
    ids = [str(number) for number in range(2000)]
    small, large = ({name for name in ids if is_sampled(name, share)} for share in (0.1, 0.5))
    assert small < large
    assert set(ids) == {name for name in ids if is_sampled(name, 1.0)}
    assert 900 < len(large) < 1100
    assert not is_sampled("", 1.0)


def test_requests_are_told_apart_by_headers_and_parameters() -> None:
    """Twenty values have slices of their own; others share one, and who says nothing is in none."""
    collected = Collected()
    rules = SamplingRules(slicings(["header:X-Region", "parameter:tier"]))
    sampler = Sampler(FakeClock(), 2000, rules, [collected])
    looking = opened(sampler)
    callers = [Caller(metadata=[("x-region", f"r{number}")]) for number in range(22)]
    callers += [Caller(header=Header({"tier": True})), Caller()]
    looking.look_at(result(LOADED, 0, [1] * 24, callers), 24)
    sampler.tick()
    found = [request.slices for rows in collected.taken for request in rows.requests]
    assert [(f"header x-region=r{number}",) for number in range(20)] == found[:20]
    assert [("header x-region=_other",)] * 2 == found[20:22]
    assert [("parameter tier=true",), ()] == found[22:]


def test_what_is_left_of_an_unloaded_version_is_looked_at() -> None:
    """A version that is closed is forgotten once its rows were handed on."""
    collected = Collected()
    sampler = Sampler(FakeClock(), 2000, SamplingRules(), [collected])
    looking = opened(sampler)
    run(looking, 1, 3)
    looking.is_closed = True
    sampler.tick()
    sampler.tick()
    assert 3 == len(collected.values)
    assert not sampler._versions


def test_a_version_that_runs_has_its_rows_sampled() -> None:
    """What goes into a version and what comes out of it is copied as it was."""
    collected = Collected()
    sampler = Sampler(FakeClock(), 2000, SamplingRules(), [collected])
    record = version()
    loaded = LoadedVersion(
        record, DoublingRunner(), VersionCounters(), FakeClock(), sampler=sampler
    )
    sink = RecordingSink()
    plan = loaded.plan_request([header(2)], [])
    contents = np.array([[1, 2], [3, 4]], np.float32).tobytes()
    caller = Caller("an id")
    request = InferenceRequest(
        plan, [contents], "stable", 0, None, loaded.statistics, sink, "a", caller
    )
    loaded.scheduler.enqueue([request])
    sink.wait(1)
    loaded.close()
    sampler.tick()
    (rows,) = collected.taken
    assert [[1.0, 2.0], [3.0, 4.0]] == rows.inputs[0].tolist()  # type: ignore[union-attr]
    assert sink.outputs["a"][0].tolist() == rows.outputs[0].tolist()  # type: ignore[union-attr]
    assert "" == rows.requests[0].id
    assert record is rows.record


def one_request(inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> BatchResult:
    """A run of a request to a version that does not batch: its tensors are one row, of any shape."""
    made = result(LOADED, 0, [1], [Caller(id_text="a")])
    return BatchResult(made.requests, list(outputs), [0, 1], (0, 0, 0), list(inputs))


def test_tensors_that_turn_keep_all_their_numbers() -> None:
    """[1, 4] after [4, 1] has as many numbers, and is no row of the same shape."""
    seen = Collected()
    sampler = Sampler(FakeClock(), 1000, SamplingRules(), [seen])
    version_sampler = opened(sampler)
    for shape in [(1, 4), (1, 4), (4, 1), (2, 2), (1, 4), (4,), (1, 1, 4)]:
        tensor = np.arange(4, dtype=np.float32).reshape(shape)
        version_sampler.look_at(one_request([tensor], [tensor * 10]), 1)
    sampler.tick()
    found = [rows for rows in seen.taken for _ in range(len(rows))]
    assert 7 == len(found)
    for rows in seen.taken:
        for numbers, factor in ((rows.inputs[0], 1), (rows.outputs[0], 10)):
            assert numbers is not None
            assert [[0, factor, 2 * factor, 3 * factor]] * len(rows) == numbers.reshape(
                len(rows), -1
            ).tolist()


def test_rows_that_are_huge_are_counted_and_not_copied() -> None:
    """Nobody waits until a gigabyte is copied, by the budget or by an id."""
    seen, by_id = Collected(), Collected()
    sampler = Sampler(FakeClock(), 1000, SamplingRules(id_share=1.0), [seen], [by_id])
    version_sampler = opened(sampler)
    huge = np.broadcast_to(np.float32(1), (1, 2**28))
    small = np.ones((1, 2), np.float32)
    version_sampler.look_at(one_request([small], [huge]), 1)
    sampler.tick()
    version_sampler.look_at(one_request([small], [small]), 1)
    sampler.tick()
    assert 2 == seen.rows_seen
    assert [2] == [size_of(rows.outputs) // small.itemsize for rows in by_id.taken]
    assert 1 == sampler.dropped_by_id
    assert [2] == [size_of(rows.outputs) // small.itemsize for rows in seen.taken]


def test_rows_that_nobody_can_copy_cost_no_answer_and_no_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Such as the items of a sequence; the next rows are looked at once the budget is divided anew."""
    seen = Collected()
    sampler = Sampler(FakeClock(), 1000, SamplingRules(), [seen])
    version_sampler = opened(sampler)
    for _ in range(3):
        odd: Any = [[1.0, 2.0]]
        version_sampler.look_at(one_request([odd], [odd]), 1)
        sampler.tick()
    assert 1 == len(caplog.records)
    run(version_sampler, 1, 5)
    sampler.tick()
    assert 5 == len(seen.values)
    assert 8 == seen.rows_seen


def test_rows_cost_what_they_have_and_not_what_the_first_had() -> None:
    """A version that begins with small rows is no way around the bytes a second, nor are its large ones
    for ever a reason to look at few small ones."""
    seen, clock = Collected(), FakeClock()
    sampler = Sampler(clock, 1000, SamplingRules(), [seen])
    version_sampler = opened(sampler)
    small, large = np.ones((1, 2), np.float32), np.ones((1, 2**18), np.float32)
    version_sampler.look_at(one_request([small], [small]), 1)
    for _ in range(400):
        version_sampler.look_at(one_request([large], [small]), 1)
    sampler.tick()
    most = sum(size_of(rows.inputs) for rows in seen.taken)
    assert 2**20 <= most <= 12 * 2**20
    for _ in range(40):
        clock.now_ns += int(TICK_SECONDS * 1e9)
        seen.taken.clear()
        for _ in range(200):
            version_sampler.look_at(one_request([small], [small]), 1)
        sampler.tick()
    assert 200 == sum(len(rows) for rows in seen.taken)
