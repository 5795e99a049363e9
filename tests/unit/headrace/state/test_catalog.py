"""The catalog as a value: what follows on it shares what did not change, and says what did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import errors
from headrace.state.catalog import Catalog
from headrace.state.codec import encode
from headrace.state.desired import desired
from headrace.state.persistent_map import PersistentMap
from headrace.state.records import AliasRecord, ModelRecord, VersionRecord
from headrace.state.route_records import RouteRecord
from headrace.state.version_map import VersionMap
from headrace_inference.domain.reconciliation.residency import Caps, Residency
from tests.unit.inference.doubles import version

_CHANGES = st.lists(
    st.dictionaries(st.integers(0, 40), st.one_of(st.none(), st.integers(0, 9)), max_size=6),
    max_size=8,
)


@given(start=st.dictionaries(st.integers(0, 40), st.integers(0, 9)), changes=_CHANGES)
def test_a_persistent_map_is_a_dict_that_never_changes(
    start: dict[int, int], changes: list[dict[int, int | None]]
) -> None:
    """Each change gives what a dict would be, in order, and leaves the map before as it was."""
    expected, present = dict(start), PersistentMap(start)
    present.sorted_keys()
    for change in changes:
        before, former = dict(expected), present
        expected |= {key: value for key, value in change.items() if value is not None}
        for key in (key for key, value in change.items() if value is None):
            expected.pop(key, None)
        present = present.updated(change)
        assert (expected, len(expected)) == (dict(present), len(present))
        assert sorted(expected) == present.sorted_keys()
        assert (before, sorted(before)) == (dict(former), former.sorted_keys())
        moved = {key for key in before.keys() | expected if before.get(key) != expected.get(key)}
        assert moved <= set(present.differing(former)) <= set(change)


def _models(count: int) -> Mapping[str, ModelRecord]:
    return {
        f"m{place}": ModelRecord(f"m{place}", 0.0, last_number=2, route=RouteRecord(1))
        for place in range(count)
    }


def _versions(count: int) -> dict[tuple[str, int], VersionRecord]:
    return {
        (f"m{place}", number): replace(version(number), model=f"m{place}")
        for place in range(count)
        for number in (2, 1)
    }


def test_a_later_catalog_shares_what_did_not_change() -> None:
    """A change touches the model that it is about, and says so."""
    before = Catalog(1, _models(500), _versions(500))
    pushed = replace(version(3), model="m7")
    after = before.updated(
        2, {"m7": replace(before.models["m7"], last_number=3)}, {("m7", 3): pushed}
    )
    assert {"m7"} == after.models_differing(before)
    assert [1, 2] == before.numbers_of("m7")
    assert [1, 2, 3] == after.numbers_of("m7")
    shared = [key for key in before.versions if before.versions[key] is after.versions[key]]
    assert (1000, 1001) == (len(shared), len(after.versions))
    assert before.model_names() == after.model_names()
    gone = after.updated(3, {"m7": None}, {("m7", number): None for number in (1, 2, 3)})
    assert {"m7"} == gone.models_differing(after)
    assert ([], 998) == (gone.versions_of("m7"), len(gone.versions))


def test_versions_are_decoded_when_they_are_asked_for() -> None:
    """A damaged record is an error of that version alone."""
    encoded = [(("m", 2), encode(version(2))), (("m", 1), b'{"model": "m"}')]
    catalog = Catalog(1, {}, VersionMap(VersionRecord, encoded))
    assert [1, 2] == catalog.numbers_of("m")
    assert version(2) == catalog.versions["m", 2]
    with pytest.raises(errors.DataLoss) as caught:
        catalog.versions_of("m")
    assert "STATE_UNREADABLE" == caught.value.reason


def test_artifacts_are_read_from_what_is_there() -> None:
    """Whether a version was decoded or not, its digest and files are the same."""
    keys = [("m", 1), ("m", 2)]
    decoded = Catalog(1, {}, {key: version(key[1]) for key in keys})
    encoded = ((key, encode(version(key[1]))) for key in keys)
    packed = Catalog(1, {}, VersionMap(VersionRecord, encoded))
    assert list(decoded.artifacts()) == list(packed.artifacts())
    assert [version(1).digest, version(2).digest] == [each.digest for each in packed.artifacts()]


_ROUTES = st.builds(
    RouteRecord, st.integers(1, 4), previous=st.one_of(st.none(), st.integers(1, 4))
)
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.one_of(st.none(), _ROUTES),
        st.dictionaries(st.sampled_from(["x", "y"]), st.integers(1, 4)),
        st.sets(st.integers(1, 4)),
    ),
    max_size=6,
)


@given(steps=_STEPS)
def test_what_is_desired_follows_the_changes(
    steps: list[tuple[str, RouteRecord | None, dict[str, int], set[int]]],
) -> None:
    """Looking at what changed comes to the same as looking at everything."""
    catalog, followed = Catalog(), Residency(Caps(), lambda _: 0)
    for name, route, aliases, numbers in steps:
        model = ModelRecord(
            name, 0.0, aliases={at: AliasRecord(to, 0.0) for at, to in aliases.items()}, route=route
        )
        versions = {(name, at): version(at) if at in numbers else None for at in range(1, 5)}
        former = catalog
        catalog = catalog.updated(
            catalog.revision + 1, {name: model if numbers else None}, versions
        )
        followed.follow(catalog, catalog.models_differing(former), 0.0)
        assert desired(catalog) == followed.ranks


def test_catalogs_that_were_read_apart_share_what_is_equal() -> None:
    """Whether a version was followed or read again: only what changed differs."""
    models, versions = _models(20), _versions(20)
    followed = Catalog(1, models, versions)
    moved = {"m3": replace(models["m3"], description="new"), "m19": None, "new": models["m0"]}
    pushed = {("m5", 3): version(3, "m5"), ("m19", 1): None, ("m19", 2): None}
    pushed |= {("m7", 2): replace(versions["m7", 2], digest="another")}
    expected = followed.updated(9, moved, pushed)
    encoded = ((key, encode(record)) for key, record in expected.versions.items())
    read = Catalog(9, dict(expected.models), VersionMap(VersionRecord, encoded))
    shared = read.sharing(followed)
    assert expected == shared
    assert (len(expected.versions), expected.model_names()) == (
        len(shared.versions),
        shared.model_names(),
    )
    assert {"m3", "m5", "m7", "m19", "new"} == shared.models_differing(followed)
    assert set() == read.sharing(shared).models_differing(shared)


def test_a_record_that_cannot_be_read_is_shared_with_none() -> None:
    """It is another than the one that was followed."""
    followed = Catalog(1, {}, {("m", 1): version(1), ("n", 1): version(1, "n")})
    encoded = [(("m", 1), b"{}"), (("n", 1), encode(version(1, "n")))]
    shared = Catalog(1, {}, VersionMap(VersionRecord, encoded)).sharing(followed)
    assert {"m"} == shared.models_differing(followed)
