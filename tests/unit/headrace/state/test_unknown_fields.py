"""Records outlive the code that reads them: fields of a newer writer are kept, at every depth."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from headrace.state import reader
from headrace.state.catalog import Catalog
from headrace.state.changes import decode_change
from headrace.state.codec import decode, encode, encode_sparse
from headrace.state.differences import ModelDifference, difference
from headrace.state.records import (
    AliasRecord,
    Batching,
    ModelRecord,
    Provider,
    ServingConfig,
    SessionOptions,
    VersionRecord,
)
from headrace.state.route_records import Canary, RouteRecord
from headrace.state.unknown_fields import unknown_fields
from tests.unit.inference.doubles import SIGNATURE

MODEL = ModelRecord(
    "m",
    1.5,
    labels={"team": "red"},
    aliases={"a": AliasRecord(1, 2.5), "b": AliasRecord(2, 2.5)},
    route=RouteRecord(1, Canary(2, 10.0)),
    revision=4,
)
VERSION = VersionRecord(
    "m",
    2,
    "d",
    (),
    "g",
    SIGNATURE,
    ServingConfig(
        batching=Batching(max_batch_size=8),
        session=SessionOptions(free_dimensions={"n": 1}),
        provider_options={Provider.CUDA: {"a": "b"}},
    ),
    0.0,
)


def _of_the_future(tree: Any, place: tuple[str | int, ...]) -> Any:
    """The JSON of a record as a newer writer leaves it: with a field more at a place."""
    inner = tree
    for step in place:
        inner = inner[step]
    inner["of_the_future"] = {"deep": [1, None, 0.5]}
    return tree


PLACES: list[tuple[object, tuple[str | int, ...]]] = [
    (MODEL, ()),
    (MODEL, ("route",)),
    (MODEL, ("route", "canary")),
    (MODEL, ("aliases", "a")),
    (VERSION, ()),
    (VERSION, ("config",)),
    (VERSION, ("config", "batching")),
    (VERSION, ("config", "session")),
    (VERSION, ("signature",)),
    (VERSION, ("signature", "inputs", 0)),
    (VERSION, ("signature", "outputs", 1)),
]


@pytest.mark.parametrize(("record", "place"), PLACES, ids=lambda each: str(each)[:40])
@pytest.mark.parametrize("written_by", [encode, encode_sparse])
def test_fields_of_a_newer_writer_are_written_back(
    record: ModelRecord | VersionRecord,
    place: tuple[str | int, ...],
    written_by: Callable[[object], bytes],
) -> None:
    """Decode, replace, encode: what is not known is as it was, at any depth, and all else, too."""
    stored = _of_the_future(json.loads(written_by(record)), place)
    read = decode(type(record), json.dumps(stored).encode())
    changed = replace(read, revision=9)
    assert {**stored, "revision": 9} == json.loads(written_by(changed))
    assert read != record
    assert isinstance(read, type(record))
    assert read == decode(type(record), json.dumps(stored).encode())


def test_records_without_such_fields_are_what_they_were() -> None:
    """They are of the very same class, so they cost nothing more."""
    assert ModelRecord is type(decode(ModelRecord, encode_sparse(MODEL)))
    assert {} == unknown_fields(MODEL)


def test_a_model_with_many_aliases_keeps_what_one_of_them_has() -> None:
    """Long mappings are encoded whole, unless there is something to keep."""
    aliases = {f"a{place}": AliasRecord(1, 2.5, place) for place in range(100)}
    stored = json.loads(encode_sparse(replace(MODEL, aliases=aliases)))
    stored["aliases"]["a7"]["of_the_future"] = 1
    read = decode(ModelRecord, json.dumps(stored).encode())
    again = json.loads(encode_sparse(read))
    assert 1 == again["aliases"]["a7"]["of_the_future"]
    assert read == decode(ModelRecord, json.dumps(again).encode())


def test_text_that_looks_like_such_fields_is_text() -> None:
    """Names and descriptions are the users' own."""
    model = replace(MODEL, description='{"unknown_fields":1}', labels={"unknown_fields": "x"})
    for written in (encode(model), encode_sparse(model)):
        assert model == decode(ModelRecord, written)


def test_records_with_such_fields_can_be_hashed_where_others_can() -> None:
    """Signatures and configs are keys of caches."""
    stored = _of_the_future(json.loads(encode_sparse(SIGNATURE)), ("inputs", 0))
    read = decode(type(SIGNATURE), json.dumps(stored).encode())
    assert hash(read) == hash(decode(type(SIGNATURE), json.dumps(stored).encode()))


def test_a_difference_carries_what_a_newer_writer_changed() -> None:
    """Followers have it in their catalog, and what is changed later leaves it there."""
    text = {"revision": 5, "kind": "model.update", "resource": "models/m", "actor": "", "at": 1.0}
    text |= {"previous_hash": "", "models": {"m": {"revision": 5, "of_the_future": 7}}}
    catalog = reader.apply(Catalog(4, {"m": MODEL}), decode_change(json.dumps(text).encode()))
    assert {"of_the_future": 7} == unknown_fields(catalog.models["m"])
    edited = replace(catalog.models["m"], description="by the older one", revision=6)
    told = difference(edited, catalog.models["m"])
    assert ModelDifference(description="by the older one", revision=6) == told
    assert told is not None
    assert {"of_the_future": 7} == unknown_fields(told.applied(catalog.models["m"]))


def test_a_whole_model_in_a_difference_has_them_all() -> None:
    """As what was before a model was deleted."""
    stored = _of_the_future(json.loads(encode_sparse(MODEL)), ())
    read = decode(ModelRecord, json.dumps(stored).encode())
    told = difference(read, None)
    assert told is not None
    assert read == told.applied(None)
    assert read == decode(ModelDifference, encode_sparse(told)).applied(None)
