"""When a route or an alias may lead callers to another version: rows of what is served and taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from headrace import errors
from headrace.datatypes import Datatype
from headrace.state.catalog import Catalog
from headrace.state.records import (
    AliasRecord,
    LoadState,
    ModelRecord,
    ReplicaRecord,
    ReplicaStage,
    ReplicaVersion,
    ServingConfig,
    Signature,
    TensorSpec,
    VersionRecord,
)
from headrace.state.route_records import Canary, RouteRecord
from headrace_registry.domain.decisions.allowed import Allowed
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.resources.aliases import AliasMove, move_alias
from headrace_registry.domain.resources.routes import RouteEdit, update_route
from headrace_registry.domain.resources.versions import NewVersion, publish_version

Decide = Callable[[DecisionContext], Decision]

NARROW = Signature((TensorSpec("x", Datatype.FP32, (-1, 4), ("", "")),), ())
WIDE = Signature((TensorSpec("x", Datatype.FP32, (-1, 5), ("", "")),), ())
CHANGED = "input 'x' was FP32 [-1, 4] and is FP32 [-1, 5]"


def version(number: int, signature: Signature = NARROW) -> VersionRecord:
    """A version of the model."""
    return VersionRecord("m", number, "d", (), "model.onnx", signature, ServingConfig(), 1.0)


# Version 1 is stable and `old`; 2 and 3 are named by nobody; 3 takes something else; 4 is the newest.
CATALOG = Catalog(
    revision=9,
    models={
        "m": ModelRecord(
            "m",
            1.0,
            last_number=4,
            aliases={"old": AliasRecord(1, 1.0, 5)},
            route=RouteRecord(1, revision=6),
        )
    },
    versions={("m", 1): version(1), ("m", 2): version(2), ("m", 3): version(3, WIDE)}
    | {("m", 4): version(4)},
)
SITUATION = DecisionContext(CATALOG, "ada", 100.0, last_number=4)


def replica(name: str, *states: tuple[int, LoadState, str]) -> ReplicaRecord:
    """A replica that has these versions."""
    held = tuple(ReplicaVersion("m", number, state, why) for number, state, why in states)
    return ReplicaRecord(name, "h:1", "h:2", "h:3", 7, 0.0, applied_revision=9, versions=held)


READY = replica("r1", *[(number, LoadState.READY, "") for number in (1, 2, 3, 4)])
ONLY_STABLE = replica("r2", (1, LoadState.READY, ""))
LOADING = replica("r3", (4, LoadState.LOADING, ""))
FAILED = replica("r4", (4, LoadState.UNAVAILABLE, "no such operator"))
ALL = Allowed(signature_change=True, unready=True)


def route(edit: RouteEdit, *replicas: ReplicaRecord) -> Decide:
    """A route to set."""
    return partial(update_route, edit=edit, replicas=replicas)


def alias(move: AliasMove, *replicas: ReplicaRecord) -> Decide:
    """An alias to move."""
    return partial(move_alias, move=move, replicas=replicas)


LEAVING = replace(READY, stage=ReplicaStage.LEAVING)
NEW = AliasMove("m", "new", 4, allow_missing=True)
GRANTED = [
    pytest.param(route(RouteEdit("m", RouteRecord(4))), id="no replica is there"),
    pytest.param(route(RouteEdit("m", RouteRecord(4)), LEAVING), id="none is there that stays"),
    pytest.param(route(RouteEdit("m", RouteRecord(4)), READY, LOADING), id="one of two serves it"),
    pytest.param(route(RouteEdit("m", RouteRecord(1)), FAILED), id="nothing changes"),
    pytest.param(
        route(RouteEdit("m", RouteRecord(3), allowed=Allowed(True)), READY), id="allowed to differ"
    ),
    pytest.param(
        route(RouteEdit("m", RouteRecord(4), allowed=Allowed(unready=True)), FAILED),
        id="allowed to be away",
    ),
    pytest.param(
        route(RouteEdit("m", RouteRecord(3, Canary(4, 5.0)), allowed=ALL), LOADING), id="both"
    ),
    pytest.param(alias(AliasMove("m", "old", 4), READY), id="an alias moves to what is served"),
    pytest.param(alias(replace(NEW, version=3), READY), id="a new alias replaces nothing"),
    pytest.param(alias(replace(NEW, version=2), ONLY_STABLE), id="a new alias loads an old one"),
    pytest.param(alias(AliasMove("m", "old", 1), LOADING), id="an alias stays where it is"),
]


@pytest.mark.parametrize("decide", GRANTED)
def test_names_lead_to_what_is_served_and_takes_the_same(decide: Decide) -> None:
    """A row each."""
    assert 10 == decide(SITUATION).revision


REFUSED = [
    (route(RouteEdit("m", RouteRecord(3)), READY), "SIGNATURE_CHANGED", CHANGED),
    (route(RouteEdit("m", RouteRecord(1, Canary(3, 5.0))), READY), "SIGNATURE_CHANGED", CHANGED),
    (alias(AliasMove("m", "old", 3), READY), "SIGNATURE_CHANGED", CHANGED),
    (route(RouteEdit("m", RouteRecord(4)), LOADING), "VERSION_NOT_SERVED", "r3: LOADING"),
    (
        route(RouteEdit("m", RouteRecord(4)), LEAVING, LOADING),
        "VERSION_NOT_SERVED",
        "of m: r3: LOADING",
    ),
    (
        route(RouteEdit("m", RouteRecord(4)), ONLY_STABLE, FAILED),
        "VERSION_NOT_SERVED",
        "r2: does not hold it; r4: UNAVAILABLE (no such operator)",
    ),
    (
        route(RouteEdit("m", RouteRecord(1, Canary(4, 5.0))), LOADING),
        "VERSION_NOT_SERVED",
        "r3: LOADING",
    ),
    (
        route(RouteEdit("m", RouteRecord(2)), ONLY_STABLE),
        "VERSION_NOT_SERVED",
        "give this one a new alias",
    ),
    (alias(AliasMove("m", "old", 4), LOADING), "VERSION_NOT_SERVED", "r3: LOADING"),
    (alias(NEW, FAILED), "VERSION_NOT_SERVED", "no such operator"),
    (alias(NEW, ONLY_STABLE), "VERSION_NOT_SERVED", "r2: does not hold it"),
]


@pytest.mark.parametrize(("decide", "reason", "said"), REFUSED)
def test_what_would_lead_callers_astray_is_refused_with_what_is_wrong(
    decide: Decide, reason: str, said: str
) -> None:
    """A row each: another signature, and a version that no replica serves."""
    with pytest.raises(errors.FailedPrecondition) as caught:
        decide(SITUATION)
    assert reason == caught.value.reason
    assert said in caught.value.message


def test_a_canary_that_stays_is_not_judged_again() -> None:
    """Who insisted on a canary can change its share without insisting again."""
    present = replace(CATALOG.models["m"], route=RouteRecord(1, Canary(3, 5.0), revision=6))
    context = replace(SITUATION, catalog=replace(CATALOG, models={"m": present}))
    update_route(context, RouteEdit("m", RouteRecord(1, Canary(3, 50.0))), [LOADING])
    with pytest.raises(errors.FailedPrecondition, match="input 'x' was"):
        update_route(context, RouteEdit("m", RouteRecord(3)), [READY])


def test_a_name_leaves_a_version_that_is_lost() -> None:
    """Where the state lost what a name leads to, nothing holds the name there."""
    versions = {key: record for key, record in CATALOG.versions.items() if key != ("m", 1)}
    context = replace(SITUATION, catalog=replace(CATALOG, versions=versions))
    assert 10 == update_route(context, RouteEdit("m", RouteRecord(3)), [READY]).revision
    assert 10 == move_alias(context, AliasMove("m", "old", 3), [READY]).revision


def new_version(**fields: object) -> NewVersion:
    """A version to publish that takes something else."""
    new = NewVersion("m", (), "model.onnx", WIDE, ServingConfig())
    return replace(new, **fields)  # type: ignore[arg-type]  # rows of a test


def test_a_push_tells_that_it_differs_from_the_stable_version() -> None:
    """What a route is going to be refused for is said at once; a version like it says nothing."""
    pushed = publish_version(SITUATION, new_version(notices=("said by the check",)))
    alike = publish_version(SITUATION, new_version(signature=NARROW))
    record = pushed.versions["m/5"]
    assert record is not None
    expected = ("said by the check", f"signature differs from stable version 1: {CHANGED}")
    assert expected == record.notices
    assert [()] == [each.notices for each in alike.versions.values() if each]


def test_a_push_does_not_move_an_alias_away_under_its_callers() -> None:
    """An alias that is there moves to another signature only where that is allowed."""
    with pytest.raises(errors.FailedPrecondition, match="version 5 of m would break callers of"):
        publish_version(SITUATION, new_version(alias="old"))
    for granted in (
        new_version(alias="new"),
        new_version(alias="old", allow_signature_change=True),
        new_version(alias="old", signature=NARROW),
    ):
        model = publish_version(SITUATION, granted).models["m"]
        assert model is not None
        assert 5 == model.aliases[granted.alias].version
