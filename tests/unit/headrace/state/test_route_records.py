"""Routes as records: what older registries stored, and the versions that a route holds on to."""

from __future__ import annotations

import pytest

from headrace import errors
from headrace.state.catalog import Catalog
from headrace.state.codec import decode, encode_sparse
from headrace.state.desired import desired
from headrace.state.records import ModelRecord, ServingConfig, Signature, VersionRecord
from headrace.state.route_records import (
    Canary,
    KeySource,
    MatchRule,
    RequestKey,
    RouteRecord,
    Shadow,
)
from headrace.state.wholeness import check_whole

USER = RequestKey(KeySource.HEADER, "x-user")
FULL = RouteRecord(
    stable=1,
    canary=Canary(2, 10.0),
    previous=7,
    updated_at=2.0,
    revision=5,
    more_canaries=(Canary(3, 5.0),),
    sticky_key=USER,
    matches=(
        MatchRule(USER, 4, equals="ada"),
        MatchRule(RequestKey(KeySource.PARAMETER, "tier"), 5, prefix="beta"),
    ),
    shadow=Shadow(6, 25.0),
)


def catalog(route: RouteRecord, *numbers: int) -> Catalog:
    """A model with this route and these versions."""
    versions = {
        ("m", number): VersionRecord(
            "m", number, "d", (), "g", Signature((), ()), ServingConfig(), 0.0
        )
        for number in numbers
    }
    model = ModelRecord("m", 0.0, keep_latest=0, last_number=9, route=route)
    return Catalog(1, {"m": model}, versions)


def test_a_route_of_an_older_registry_is_read() -> None:
    """It names a stable version and a canary, and nothing else."""
    stored = (
        b'{"stable":1,"canary":{"version":2,"weight_percent":10.0},"previous":null,"revision":5}'
    )

    assert RouteRecord(1, Canary(2, 10.0), revision=5) == decode(RouteRecord, stored)


def test_a_route_that_uses_nothing_new_is_stored_as_before() -> None:
    """An older registry reads what a newer one wrote."""
    route = RouteRecord(1, Canary(2, 10.0), previous=7, updated_at=2.0, revision=5)

    assert encode_sparse(route) == (
        b'{"stable":1,"canary":{"version":2,"weight_percent":10.0},"previous":7,'
        b'"updated_at":2.0,"revision":5}'
    )


def test_a_route_comes_back_as_it_was_stored() -> None:
    """With all that it can have."""
    assert FULL == decode(RouteRecord, encode_sparse(FULL))


def test_replicas_hold_all_that_a_route_names() -> None:
    """Stable is loaded first, a shadow after canaries and matched versions."""
    held = desired(catalog(FULL, *range(1, 9)))

    assert held == {
        ("m", number): rank for number, rank in zip(range(1, 8), (0, 1, 1, 1, 1, 2, 3), strict=True)
    }


@pytest.mark.parametrize(
    ("gone", "role"), [(1, "stable"), (2, "canary"), (3, "canary"), (5, "match"), (6, "shadow")]
)
def test_a_catalog_that_lacks_a_named_version_is_not_whole(gone: int, role: str) -> None:
    """Whatever the route wants of it."""
    numbers = [number for number in range(1, 8) if number != gone]
    with pytest.raises(errors.Unavailable) as caught:
        check_whole(catalog(FULL, *numbers), None, None)

    assert f"version {gone} of m, its {role}" in caught.value.message
