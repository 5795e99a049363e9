"""Gates over a registry's socket: no way leads callers to what does not pass, unless they insist."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headrace import errors
from headrace.client import AsyncClient, Metric
from headrace.gates import comparison
from headrace.registry.v1 import registry_service_pb2
from headrace.state.gate_records import GateComparison, GateRecord
from tests.rpc.registry_fixtures import onnx_file, push, running_registry

GATE = GateRecord(("accuracy >= 0.9",))
DATA = "a" * 64
Way = Callable[[AsyncClient, bool], Awaitable[object]]


@asynccontextmanager
async def _three_versions(
    redis_url: str, namespace: str, data: Path, gate: GateRecord = GATE
) -> AsyncIterator[AsyncClient]:
    """Three versions of `digits`: the first is stable and `prod`, and only the third does not pass."""
    async with (
        running_registry(redis_url, namespace, data) as running,
        AsyncClient(registry=running.address) as client,
    ):
        for number in (1, 2, 3):
            await push(running, onnx_file(bias=float(number)))
        await client.alias("digits", "prod", 1)
        for number, accuracy in ((1, 0.92), (2, 0.93), (3, 0.8)):
            await _measure(client, number, accuracy)
        await client.update_model("digits", gate=gate)
        yield client


async def _measure(client: AsyncClient, number: int, accuracy: float, data: str = DATA) -> None:
    await client.annotate(
        "digits", number, metrics=[Metric("accuracy", accuracy, data_digest=data)]
    )


WAYS: dict[str, Way] = {
    "an alias that moves": lambda client, allow: client.alias(
        "digits", "prod", 3, allow_gate_failure=allow
    ),
    "a new alias": lambda client, allow: client.alias("digits", "new", 3, allow_gate_failure=allow),
    "several aliases": lambda client, allow: client.set_aliases(
        "digits", {"one": 2, "two": 3}, allow_gate_failure=allow
    ),
    "a canary": lambda client, allow: client.set_route(
        "digits", 1, 3, 1.0, allow_gate_failure=allow
    ),
    "a further canary": lambda client, allow: client.set_route(
        "digits", 1, 2, 1.0, more_canaries={3: 1.0}, allow_gate_failure=allow
    ),
    "a match rule": lambda client, allow: client.set_route(
        "digits", 1, match={"header:x-beta=1": 3}, allow_gate_failure=allow
    ),
    "the stable version": lambda client, allow: client.set_route(
        "digits", 3, allow_gate_failure=allow
    ),
}
"""What leads callers to version 3, but for pushes."""


async def test_no_way_leads_to_a_version_that_does_not_pass(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Every alias and every role of a route but the shadow's asks the gate; all take an insistence."""
    async with _three_versions(redis_url, namespace, tmp_path) as client:
        before = await client.route("digits"), await client.aliases("digits")
        for name, way in WAYS.items():
            with pytest.raises(errors.FailedPrecondition) as refused:
                await way(client, False)
            assert (name, "GATE_NOT_PASSED") == (name, refused.value.reason)
        message = refused.value.message
        assert before == (await client.route("digits"), await client.aliases("digits"))
        await client.set_route("digits", 1, shadow=3, shadow_share=10.0)
        for way in WAYS.values():
            await client.set_route("digits", 1)
            await way(client, True)
        logged = await client.audit(model="digits", kind="gate.override")
    assert (
        "version 3 does not pass the gate of digits: accuracy >= 0.9: accuracy is 0.8 on aaaaaaaaaaaa. "
        "Measure it (`headrace evaluate digits/3`), choose another version, or insist with "
        "allow_gate_failure"
    ) == message
    assert len(WAYS) == len(logged)
    assert {("gate.override models/digits/versions/3",)} == {
        tuple(each for each in change.further if each.startswith("gate.")) for change in logged
    }


async def test_what_passes_or_stays_is_not_held_up(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A version that passes goes everywhere, and what is named already may be named again."""
    async with _three_versions(redis_url, namespace, tmp_path) as client:
        await client.set_route("digits", 1, 2, 10.0)
        await client.alias("digits", "prod", 2)
        await _measure(client, 1, 0.1)
        await client.set_route("digits", 1, 2, 50.0)
        await client.alias("digits", "prod", 2)
        route = await client.set_route("digits", 2)
    assert 2 == route.stable


async def test_the_way_back_is_always_open(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """A rollback goes to what was stable before, whatever the gate says of it by now; a canary is none."""
    async with _three_versions(redis_url, namespace, tmp_path) as client:
        await client.set_route("digits", 2)
        await client.update_model("digits", gate=GateRecord(("accuracy > 0.99",)))
        with pytest.raises(errors.FailedPrecondition, match="does not pass"):
            await client.set_route("digits", 2, 1, 5.0)
        rolled_back = await client.rollback("digits")
        with pytest.raises(errors.FailedPrecondition, match=r"accuracy > 0\.99"):
            await client.set_route("digits", 3)
    assert (1, 2) == (rolled_back.stable, rolled_back.previous)


async def test_only_guarded_aliases_ask(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """A gate may name the aliases that it is for; the route is always guarded."""
    gate = GateRecord(("accuracy >= 0.9",), aliases=("prod",))
    async with _three_versions(redis_url, namespace, tmp_path, gate) as client:
        await client.alias("digits", "trial", 3)
        with pytest.raises(errors.FailedPrecondition, match="does not pass"):
            await client.alias("digits", "prod", 3)
        with pytest.raises(errors.FailedPrecondition, match="does not pass"):
            await client.set_route("digits", 3)


async def test_a_version_is_compared_with_the_one_that_serves(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """No worse than the stable version or an alias names now, on the same data."""
    gate = GateRecord(no_worse_than=(comparison("accuracy:0.05"), comparison("accuracy@prod")))
    async with _three_versions(redis_url, namespace, tmp_path, gate) as client:
        await client.alias("digits", "trial", 1)
        with pytest.raises(errors.FailedPrecondition) as refused:
            await client.alias("digits", "trial", 3)
        await client.set_aliases("digits", {"prod": 2, "trial": 2})
        await _measure(client, 3, 0.99, "b" * 64)
        await client.annotate("digits", 3, remove_metrics=["accuracy"])
        await _measure(client, 3, 0.99, "b" * 64)
        with pytest.raises(errors.FailedPrecondition) as other_data:
            await client.alias("digits", "trial", 3)
    assert (
        "no worse in accuracy:0.05: accuracy is 0.8 on aaaaaaaaaaaa, of version 1, which the route names "
        "now, 0.92 on aaaaaaaaaaaa: worse by 0.12, 0.05 is allowed; no worse in accuracy@prod:"
    ) in refused.value.message
    assert "accuracy was measured on other data" in other_data.value.message


async def test_a_metric_that_is_taken_away_does_not_count(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The gate is asked of the newest state: of moves and removals at once either comes first."""
    async with _three_versions(redis_url, namespace, tmp_path) as client:
        for _ in range(5):
            await client.alias("digits", "prod", 1)
            await _measure(client, 2, 0.95)
            moved, _ = await asyncio.gather(
                client.alias("digits", "prod", 2),
                client.annotate("digits", 2, remove_metrics=["accuracy"]),
                return_exceptions=True,
            )
            changes = await client.audit(model="digits")
            kinds = [change.kind for change in changes[:2]]
            refused = isinstance(moved, errors.FailedPrecondition)
            assert ("annotations.update" if refused else "alias.update") in kinds
            if not refused:
                assert ["annotations.update", "alias.update"] == kinds
        with pytest.raises(errors.FailedPrecondition, match="accuracy was not measured"):
            await client.alias("digits", "another", 2)


async def test_a_gate_is_set_changed_and_taken_away(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """It is a part of the model's record; what cannot be asked is refused when it is set."""
    full = GateRecord(
        ("accuracy >= 0.9",),
        (GateComparison("log_loss", "prod", 0.1, smaller_is_better=True),),
        DATA,
        ("prod",),
    )
    async with _three_versions(redis_url, namespace, tmp_path) as client:
        kept = await client.update_model("digits", description="digits")
        changed = await client.update_model("digits", gate=full)
        with pytest.raises(errors.InvalidArgument) as refused:
            await client.update_model("digits", gate=GateRecord(("accuracy >",)))
        with pytest.raises(errors.InvalidArgument, match="alias"):
            await client.update_model("digits", gate=GateRecord(("a > 1",), aliases=("a b",)))
        read = await client.model("digits")
        cleared = await client.update_model("digits", gate=GateRecord())
        created = await client.create_model("other", gate=GATE)
    assert (GATE, full, full) == (kept.gate, changed.gate, read.gate)
    assert "GATE_INVALID" == refused.value.reason
    assert (None, GATE) == (cleared.gate, created.gate)


async def test_a_push_that_gets_callers_brings_its_metrics(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Its alias if that is guarded, and the first version's place in the route, ask the gate."""
    good, bad = {"accuracy": 0.95}, {"accuracy": 0.5}
    file, next_file = onnx_file(), onnx_file(bias=2.0)
    async with (
        running_registry(redis_url, namespace, tmp_path) as running,
        AsyncClient(registry=running.address) as client,
    ):
        await client.create_model("digits", gate=GateRecord(GATE.require, aliases=("prod",)))
        with pytest.raises(errors.FailedPrecondition) as first:
            await client.push("digits", file)
        with pytest.raises(errors.FailedPrecondition, match=r"accuracy is 0\.5"):
            await client.push("digits", file, metrics=bad)
        await client.push("digits", file, metrics=good)
        await client.push("digits", next_file)
        with pytest.raises(errors.FailedPrecondition) as aliased:
            await client.push("digits", next_file, alias="prod", metrics=bad)
        await client.push("digits", next_file, alias="trial", metrics=bad)
        await client.push("digits", next_file, alias="prod", metrics=good)
        forced = await client.push("digits", next_file, alias="prod", allow_gate_failure=True)
        logged = await client.audit(model="digits", kind="gate.override")
        stored = await client.versions("digits")
        await client.create_model("forced", gate=GATE)
        await client.push("forced", file, allow_gate_failure=True)
    assert ("GATE_NOT_PASSED", 5) == (first.value.reason, len(stored))
    assert "accuracy was not measured. Bring its metrics with the push, or insist" in str(
        first.value
    )
    assert "or push it without the alias, and measure it" in str(aliased.value)
    assert [("version.push", f"gate.override models/digits/versions/{forced.number}")] == [
        (change.kind, change.further[-1]) for change in logged
    ]


def test_every_method_that_leads_callers_is_asked_here() -> None:
    """A new method of the registry is put into one of these rows, by whoever knows whether it does."""
    leads = {"UpdateAlias", "BatchUpdateAliases", "UpdateRoute", "PushVersion"}
    does_not = {
        *("CreateModel", "UpdateModel", "DeleteModel", "DeleteVersion", "DeleteAlias"),
        *("GetModel", "ListModels", "GetVersion", "ListVersions", "ReadBlob", "GetAlias"),
        *("ListAliases", "GetRoute", "ListReplicas", "WatchChanges", "ListChanges"),
    }
    methods = registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"].methods_by_name
    assert leads | does_not == set(methods)
