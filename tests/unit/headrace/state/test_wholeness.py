"""A catalog of which records are gone is told from one that is whole."""

from __future__ import annotations

import logging

import pytest

from headrace import errors
from headrace.state.catalog import Catalog
from headrace.state.changes import Change
from headrace.state.connection import check_redis_url
from headrace.state.differences import ModelDifference
from headrace.state.outage import MAX_BACKOFF_SECONDS, REPEAT_SECONDS, Outage
from headrace.state.records import AliasRecord, ModelRecord, ServingConfig, Signature, VersionRecord
from headrace.state.redis_url import without_password
from headrace.state.route_records import Canary, RouteRecord
from headrace.state.wholeness import Counts, check_whole

VERSION = VersionRecord("m", 1, "d", (), "model.onnx", Signature((), ()), ServingConfig(), 0.0)
MODEL = ModelRecord("m", 0.0, last_number=1, route=RouteRecord(1))
WHOLE = Catalog(3, {"m": MODEL}, {("m", 1): VERSION})
EMPTY = Catalog(3)
PUSHED = ModelDifference(last_number=1)
PUSH = Change(
    3, "version.push", "m", "a", 0.0, "", {"models": {"m": PUSHED}, "versions": {"m/1": VERSION}}
)
DELETE = Change(
    3, "model.delete", "m", "a", 0.0, "", {"models": {"m": None}, "versions": {"m/1": None}}
)


def with_model(**fields: object) -> Catalog:
    """The catalog whose model has these fields, and version 1 alone."""
    model = ModelRecord("m", 0.0, last_number=2, **fields)  # type: ignore[arg-type]  # rows below
    return Catalog(3, {"m": model}, {("m", 1): VERSION})


@pytest.mark.parametrize(
    ("catalog", "counts", "newest"),
    [
        pytest.param(WHOLE, Counts(3, 1, 1), PUSH, id="as counted"),
        pytest.param(WHOLE, None, PUSH, id="never counted"),
        pytest.param(WHOLE, Counts(2, 9, 9), PUSH, id="an older registry wrote last"),
        pytest.param(EMPTY, Counts(3, 0, 0), DELETE, id="all deleted"),
        pytest.param(EMPTY, None, DELETE, id="all deleted and never counted"),
        pytest.param(Catalog(), None, None, id="just begun"),
        pytest.param(with_model(route=RouteRecord(1, previous=2)), None, None, id="previous gone"),
    ],
)
def test_a_whole_catalog_passes(
    catalog: Catalog, counts: Counts | None, newest: Change | None
) -> None:
    """Those of older registries, too."""
    check_whole(catalog, counts, newest)


@pytest.mark.parametrize(
    ("catalog", "counts", "newest", "missing"),
    [
        (EMPTY, Counts(3, 1, 1), PUSH, "1 model(s) and 1 version(s)"),
        (EMPTY, None, PUSH, "the model m; the version m/1"),
        (EMPTY, None, None, "there is no model"),
        (Catalog(3, {"m": MODEL}), None, None, "version 1 of m, its stable"),
        (Catalog(3, {}, {("m", 1): VERSION}), None, None, "the model of m/1"),
        (Catalog(0), Counts(3, 1, 1), PUSH, "no revision is there"),
        (
            with_model(route=RouteRecord(1, Canary(2, 5.0))),
            None,
            None,
            "version 2 of m, its canary",
        ),
        (with_model(aliases={"a": AliasRecord(2, 0.0)}), None, None, "version 2 of m, its alias a"),
    ],
)
def test_what_is_missing_is_said(
    catalog: Catalog, counts: Counts | None, newest: Change | None, missing: str
) -> None:
    """It is an error that is retried: the data may be restored."""
    with pytest.raises(errors.Unavailable) as caught:
        check_whole(catalog, counts, newest)
    assert "STATE_NOT_WHOLE" == caught.value.reason
    assert missing in caught.value.message


@pytest.mark.parametrize("text", [None, b"", b"1:2", b"a:b:c", b"1:2:3:4:5"])
def test_counts_that_are_none_are_passed_over(text: bytes | None) -> None:
    """A key that somebody else wrote says nothing."""
    assert Counts.parse(text) is None
    assert Counts(1, 2, 3) == Counts.parse(b"1:2:3")
    assert Counts(1, 2, 3, 4) == Counts.parse(b"1:2:3:4")
    further = {"rollouts": 2, "alert_rules": 1}
    assert Counts(1, 2, 3, 4, further) == Counts.parse(b"1:2:3:4:rollouts=2:alert_rules=1")


def test_an_outage_is_said_once_and_rarely_again(caplog: pytest.LogCaptureFixture) -> None:
    """One line at its beginning, one a minute, one at its end; the pauses grow up to a bound."""
    now = 0.0
    outage = Outage(lambda: now)
    error = errors.Unavailable("STATE_UNAVAILABLE", "away", facts={"address": "redis://h"})
    caplog.set_level(logging.INFO, "headrace.state.outage")
    pauses = [outage.failed(error) for _ in range(20)]
    assert 1 == len(caplog.records)
    now = REPEAT_SECONDS
    outage.failed(error)
    outage.over()
    outage.over()
    assert sorted(pauses) == pauses
    assert MAX_BACKOFF_SECONDS == pauses[-1]
    assert ["WARNING", "WARNING", "INFO"] == [record.levelname for record in caplog.records]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@h:1/0", "redis://:***@h:1/0"),
        ("rediss://user:se@cret@[::1]:1/0", "rediss://user:***@[::1]:1/0"),
        ("redis://h?password=secret&db=1", "redis://h?password=***&db=1"),
        ("unix:///a@b/c.sock", "unix:///a@b/c.sock"),
        ("redis://localhost:6379", "redis://localhost:6379"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    """All else is shown as it was typed."""
    check_redis_url(url)
    assert shown == without_password(url)


@pytest.mark.parametrize("url", ["http://h", "h:6379", "redis://h:port", "redis://h:99999"])
def test_what_is_no_address_of_a_server_is_refused(url: str) -> None:
    """The message says what is one."""
    with pytest.raises(ValueError, match="redis://HOST:PORT/DB"):
        check_redis_url(url)
