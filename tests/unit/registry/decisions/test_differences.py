"""What the log keeps of a change, and what becomes of it."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import errors
from headrace.state import reader
from headrace.state.catalog import Catalog
from headrace.state.changes import Change, decode_change, encode_change
from headrace.state.codec import decode, encode
from headrace.state.differences import ModelDifference
from headrace.state.records import AliasRecord, ModelRecord, VersionRecord
from headrace.state.route_records import Canary, RouteRecord
from headrace_registry.domain.decisions.decision import Decision
from tests.unit.inference.doubles import version

_NAMES = st.sampled_from(["a", "b", "c"])
_ALIASES = st.dictionaries(_NAMES, st.builds(AliasRecord, st.integers(1, 3), st.just(1.0)))
_ROUTES = st.one_of(
    st.none(),
    st.builds(
        RouteRecord,
        st.integers(1, 3),
        st.one_of(st.none(), st.builds(Canary, st.integers(1, 3), st.just(5.0))),
    ),
)
_MODELS = st.builds(
    ModelRecord,
    name=_NAMES,
    created_at=st.floats(0, 9),
    description=st.sampled_from(["", "x"]),
    labels=st.dictionaries(_NAMES, _NAMES, max_size=2),
    keep_latest=st.integers(0, 2),
    last_number=st.integers(0, 2),
    aliases=_ALIASES,
    route=_ROUTES,
    pinned=st.booleans(),
    protected=st.booleans(),
)
_KINDS = st.sampled_from(["model.update", "alias.update"])
_STEPS = st.lists(
    st.tuples(_NAMES, st.one_of(st.none(), _MODELS), st.sets(st.integers(1, 3)), _KINDS), max_size=9
)


def _changes(
    steps: list[tuple[str, ModelRecord | None, set[int], str]],
) -> tuple[list[Catalog], list[Change]]:
    """The catalogs that come of these steps, and the changes between them as they are read back."""
    catalogs, changes = [Catalog()], []
    for name, model, numbers, kind in steps:
        present = catalogs[-1]
        revision = present.revision + 1
        after = {name: replace(model, name=name, revision=revision) if model else None}
        kept = numbers if model else set()
        versions: dict[tuple[str, int], VersionRecord | None] = {
            (name, at): version(at, name) if at in kept else None
            for at in {*kept, *present.numbers_of(name)}
        }
        decision = Decision(
            revision,
            kind,
            f"models/{name}",
            "ada",
            1.0,
            {
                "models": after,
                "versions": {f"{name}/{at}": one for (_, at), one in versions.items()},
            },
            {"models": {name: present.models.get(name)}},
        )
        catalogs.append(present.updated(revision, after, versions))
        changes.append(decode_change(encode_change(decision.change(""))))
    return catalogs, changes


@given(steps=_STEPS)
def test_followed_changes_come_to_what_was_decided(
    steps: list[tuple[str, ModelRecord | None, set[int], str]],
) -> None:
    """Each step's difference on the catalog before gives the catalog after."""
    catalogs, changes = _changes(steps)
    followed = Catalog()
    for expected, change in zip(catalogs[1:], changes, strict=True):
        followed = reader.apply(followed, change)
        assert expected == followed


@given(steps=_STEPS, data=st.data())
def test_changes_can_be_applied_to_what_is_newer(
    steps: list[tuple[str, ModelRecord | None, set[int], str]], data: st.DataObject
) -> None:
    """Records that were read at any later point than the first change come to the same in the end."""
    catalogs, changes = _changes(steps)
    models, versions = {}, {}
    for name in ("a", "b", "c"):
        if name in (read := data.draw(st.sampled_from(catalogs))).models:
            models[name] = read.models[name]
        for key in [(name, number) for number in (1, 2, 3)]:
            if key in (read := data.draw(st.sampled_from(catalogs))).versions:
                versions[key] = read.versions[key]
    mixed = Catalog(0, models, versions)
    for change in changes:
        mixed = reader.apply(mixed, change, over_newer=True)
    assert catalogs[-1] == mixed


def test_a_difference_has_every_field_of_a_model() -> None:
    """A field that is only in the record would be lost on its way to followers."""
    names = [{each.name for each in fields(kind)} for kind in (ModelRecord, ModelDifference)]
    assert names[0] == names[1]


def test_a_difference_without_its_model_is_a_missed_change() -> None:
    """Following goes on from a snapshot then."""
    change = Change(
        1, "alias.update", "r", "ada", 1.0, "", {"models": {"m": ModelDifference(revision=1)}}
    )
    with pytest.raises(errors.OutOfRange) as caught:
        reader.apply(Catalog(), change)
    assert "CHANGE_MISSED" == caught.value.reason


def test_a_moved_alias_is_all_that_its_change_holds() -> None:
    """Whatever else the model has is held once, in its record."""
    aliases = {f"a{place}": AliasRecord(1, 1.0, 1) for place in range(1000)}
    model = ModelRecord("m", 1.0, "x" * 4000, aliases=aliases, revision=1000)
    moved = replace(model, aliases={**aliases, "a7": AliasRecord(2, 2.0, 1001)}, revision=1001)
    decision = Decision(
        1001, "alias.update", "r", "ada", 2.0, {"models": {"m": moved}}, {"models": {"m": model}}
    )
    stored = encode_change(decision.change(""))
    assert len(stored) < 400
    read = decode_change(stored)
    assert AliasRecord(2, 2.0, 1001) == read.model("m").aliases["a7"]
    assert ModelDifference(aliases={"a7": aliases["a7"]}, revision=1000) == _before(read)


def test_a_change_of_a_model_can_be_told_without_the_one_before() -> None:
    """It says all of the model but its aliases and its route."""
    model = ModelRecord(
        "m", 1.0, "old", {"team": "red"}, 3, 2, {"a": AliasRecord(1, 1.0)}, revision=4
    )
    changed = replace(model, description="new", revision=5)
    decision = Decision(
        5,
        "model.update",
        "models/m",
        "ada",
        1.0,
        {"models": {"m": changed}},
        {"models": {"m": model}},
    )
    read = decode_change(encode_change(decision.change("")))
    assert replace(changed, aliases={}) == read.model("m")
    assert ModelDifference(description="old", revision=4) == _before(read)


def _before(change: Change) -> ModelDifference:
    """What was before of the one model that was changed."""
    return decode(ModelDifference, bytes(change.before["models"]["m"]))


def test_entries_with_whole_records_are_read() -> None:
    """Older registries wrote the model whole, before and after."""
    before = ModelRecord("m", 1.0, last_number=1, aliases={"a": AliasRecord(1, 1.0)}, revision=1)
    after = replace(before, aliases={}, route=RouteRecord(1), revision=2)
    head = {"revision": 2, "kind": "route.update", "resource": "r", "actor": "ada", "at": 1.0}
    whole = {"models": {"m": after}, "models_before": {"m": before}, "versions": {}}
    old = decode_change(encode({**head, **whole, "versions_before": {}, "previous_hash": "abc"}))
    assert after == old.model("m")
    catalog = Catalog(1, {"m": before})
    assert {"m": after} == dict(reader.apply(catalog, old).models)
    assert old.models["m"] is not None
    assert old.models["m"].whole
