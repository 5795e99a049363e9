"""A number stands for a version only as long as its contents are the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from headrace.errors import FailedPrecondition, Unavailable
from headrace.state.catalog import Catalog
from headrace.state.records import Batching, LoadState, ServingConfig, VersionRecord
from headrace.state.route_records import Canary
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.routing.table import HELD, PINNED, RoutingTable, build_table
from headrace_inference.domain.versions.identity import same_version
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from tests.unit.inference.doubles import DoublingRunner, catalog, version
from tests.unit.inference.reconciliation.test_broken_version import wait_for

OTHER_CONFIG = ServingConfig(batching=Batching(max_batch_size=2))
CANARY = catalog(1, 2, stable=1, canary=Canary(2, 50.0))


class GatedLoader:
    """Loads doubling runners as soon as a version's digest is let through; remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.begun = asyncio.Event()
        self.abandoned: list[str] = []
        self.refused: set[str] = set()
        self.runners: dict[str, DoublingRunner] = {}
        self.gates: dict[str, asyncio.Event] = {}

    async def load(self, record: VersionRecord) -> DoublingRunner:
        self.asked.append(record.digest)
        self.begun.set()
        if record.digest in self.refused:
            raise FailedPrecondition("MODEL_UNLOADABLE", "it does not open")
        try:
            await self.gate(record.digest).wait()
        except asyncio.CancelledError:
            self.abandoned.append(record.digest)
            raise
        return self.runners.setdefault(record.digest, DoublingRunner())

    def gate(self, digest: str) -> asyncio.Event:
        """What is set once the version may be loaded."""
        return self.gates.setdefault(digest, asyncio.Event())

    def let(self, *digests: str) -> None:
        """Let these be loaded."""
        for digest in digests:
            self.gate(digest).set()


def other(state: Catalog, number: int, **changes: object) -> Catalog:
    """The catalog with another version under a number."""
    changed = replace(state.versions["m", number], **{"digest": "other"} | changes)  # type: ignore[arg-type]
    return replace(state, versions={**state.versions, ("m", number): changed})


async def test_another_version_of_the_same_number_is_loaded_anew() -> None:
    """The old bytes answer no request from that moment; the model's other version holds its name."""
    loader = GatedLoader()
    loader.let("d1", "d2")
    reconciler = VersionReconciler(loader, StatisticsRegistry(), SYSTEM_CLOCK, max_loading=2)
    state = catalog(1, 2, stable=2, previous=1)
    async with reconciler.running():
        reconciler.want(state)
        await wait_for(reconciler, 1, LoadState.READY)
        await wait_for(reconciler, 2, LoadState.READY)
        reconciler.want(other(state, 2))
        held, why = reconciler.table.pick("m", "")
        with pytest.raises(Unavailable) as refused:
            reconciler.table.pick("m", "2")
        settled = reconciler.settled()
        loader.let("other")
        await wait_for(reconciler, 2, LoadState.READY)
        found, pinned = reconciler.table.pick("m", "2")
        runner = loader.runners["d2"]

    assert (1, HELD) == (held.record.number, why)
    assert ("VERSION_NOT_READY", False) == (refused.value.reason, settled)
    assert ("other", PINNED) == (found.record.digest, pinned)
    assert runner.closed


async def test_a_load_of_what_the_number_no_longer_stands_for_is_given_up() -> None:
    """What it stands for now is loaded instead."""
    loader = GatedLoader()
    loader.let("other")
    reconciler = VersionReconciler(loader, StatisticsRegistry(), SYSTEM_CLOCK, max_loading=1)
    async with reconciler.running():
        reconciler.want(catalog(1, stable=1))
        await loader.begun.wait()
        reconciler.want(other(catalog(1, stable=1), 1))
        await wait_for(reconciler, 1, LoadState.READY)
        found = reconciler.table.find("m", "1")

    assert (["d1"], "other") == (loader.abandoned, found.record.digest)


async def test_a_failure_is_that_of_its_version_alone() -> None:
    """Another one under its number is tried at once, though the first failed for good."""
    loader = GatedLoader()
    loader.refused.add("d1")
    loader.let("other")
    reconciler = VersionReconciler(loader, StatisticsRegistry(), SYSTEM_CLOCK, max_loading=1)
    async with reconciler.running():
        reconciler.want(catalog(1, stable=1))
        await wait_for(reconciler, 1, LoadState.UNAVAILABLE)
        reconciler.want(other(catalog(1, stable=1), 1))
        await wait_for(reconciler, 1, LoadState.READY)

    assert ["d1", "other"] == loader.asked


async def test_the_same_contents_go_on_serving_whatever_state_names_them() -> None:
    """A state begun anew into which the same version was pushed costs no load."""
    loader = GatedLoader()
    loader.let("d1")
    reconciler = VersionReconciler(loader, StatisticsRegistry(), SYSTEM_CLOCK, max_loading=1)
    async with reconciler.running():
        reconciler.want(catalog(1, stable=1))
        await wait_for(reconciler, 1, LoadState.READY)
        before = reconciler.table.find("m", "")
        reconciler.want(other(catalog(1, stable=1), 1, digest="d1", created_at=7.0, revision=3))
        after = reconciler.table.find("m", "")

    assert (["d1"], True) == (loader.asked, before is after)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda record: replace(record, description="better", notices=("so",)), True),
        (lambda record: replace(record, digest="other"), False),
        (lambda record: replace(record, graph_path="other.onnx"), False),
        (lambda record: replace(record, config=OTHER_CONFIG), False),
        (lambda record: replace(record, signature=replace(record.signature, outputs=())), False),
    ],
)
def test_what_decides_the_answers_makes_a_version(
    change: Callable[[VersionRecord], VersionRecord], expected: bool
) -> None:
    """Its files, its graph, its signature and its config; nothing that is only said of it."""
    assert expected == same_version(version(), change(version()))


@pytest.mark.parametrize(
    ("after", "kept"),
    [(CANARY, True), (replace(CANARY, revision=9), True), (other(CANARY, 2), False)],
)
def test_a_canary_is_owed_what_it_is_owed_itself(after: Catalog, kept: bool) -> None:
    """Its share is not that of another version which had its number before."""
    former = build_table(CANARY, {}, {}, RoutingTable())
    table = build_table(after, {}, {}, former)
    assert kept == (former.names["m"].shares[2] is table.names["m"].shares[2])


async def test_an_unexpected_error_fails_its_version_alone() -> None:
    """It says so, is tried again, and the others are loaded."""
    loader = GatedLoader()
    loader.let("d1", "d2")
    failures = [FileNotFoundError(2, "No such file or directory", "blob")]

    class Failing(GatedLoader):
        async def load(self, record: VersionRecord) -> DoublingRunner:
            if record.number == 1 and failures:
                raise failures.pop()
            return await loader.load(record)

    reconciler = VersionReconciler(Failing(), StatisticsRegistry(), SYSTEM_CLOCK, max_loading=2)
    async with reconciler.running():
        reconciler.want(catalog(1, 2, stable=1))
        await wait_for(reconciler, 1, LoadState.UNAVAILABLE)
        reason = reconciler.table.states["m", 1][1]
        await wait_for(reconciler, 2, LoadState.READY)
        await wait_for(reconciler, 1, LoadState.READY)

    assert reason.startswith("LOAD_ERROR: loading m/1 met an error that nobody expected (FileNot")


async def test_a_version_that_does_not_close_ends_nothing() -> None:
    """What its closing fails with is logged, and the reconciler goes on."""
    loader = GatedLoader()
    loader.let("d1", "d2")

    class Stuck(DoublingRunner):
        def close(self) -> None:
            raise RuntimeError("cannot be closed")

    loader.runners["d1"] = Stuck()
    reconciler = VersionReconciler(loader, StatisticsRegistry(), SYSTEM_CLOCK, max_loading=1)
    async with reconciler.running():
        reconciler.want(catalog(1, stable=1))
        await wait_for(reconciler, 1, LoadState.READY)
        reconciler.want(catalog(2, stable=2))
        await wait_for(reconciler, 2, LoadState.READY)
        while ("m", 1) in reconciler.table.states:
            reconciler.changed.clear()
            await reconciler.changed.wait()
        assert "d2" == reconciler.table.find("m", "").record.digest


async def test_a_version_in_the_queue_keeps_its_place_when_its_model_changes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing of it is here yet, so it is no other one than it was."""
    loader = GatedLoader()
    reconciler = VersionReconciler(loader, StatisticsRegistry(), SYSTEM_CLOCK, max_loading=1)
    state = catalog(1, 2, 3, stable=1, aliases={"a": 2, "b": 3})
    async with reconciler.running():
        reconciler.want(state)
        await loader.begun.wait()
        for revision in range(2, 5):
            await asyncio.sleep(0)
            changed = replace(state.models["m"], labels={"revision": str(revision)})
            reconciler.want(replace(state, revision=revision, models={"m": changed}))
        loader.let("d1", "d2", "d3")
        for number in (1, 2, 3):
            await wait_for(reconciler, number, LoadState.READY)
    assert ["d1", "d2", "d3"] == loader.asked
    assert "another version" not in caplog.text
