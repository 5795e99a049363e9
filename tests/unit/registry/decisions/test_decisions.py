"""The registry's decisions, from a catalog and a request to a change or a refusal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from msgspec import Raw

from headrace import errors
from headrace.artifacts.digests import artifact_digest
from headrace.client.resource_messages import version_from_proto
from headrace.datatypes import Datatype
from headrace.state.catalog import Catalog
from headrace.state.codec import encode_sparse
from headrace.state.records import (
    AliasRecord,
    ArtifactFile,
    Batching,
    ModelRecord,
    ServingConfig,
    Signature,
    TensorSpec,
    VersionRecord,
)
from headrace.state.route_records import Canary, RouteRecord
from headrace_registry.domain.decisions import default_config
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.decisions.default_config import BatchInvariance
from headrace_registry.domain.pages import PageRequest, take_page
from headrace_registry.domain.resources.aliases import (
    AliasMove,
    AliasRemoval,
    delete_alias,
    move_alias,
)
from headrace_registry.domain.resources.models import (
    ModelEdit,
    ModelRemoval,
    NewModel,
    create_model,
    delete_model,
    update_model,
)
from headrace_registry.domain.resources.routes import RouteEdit, update_route
from headrace_registry.domain.resources.versions import (
    NewVersion,
    VersionRemoval,
    delete_version,
    publish_version,
)
from headrace_registry.wire.convert import version_to_proto

NO_SIGNATURE = Signature((), ())
FILE = ArtifactFile("model.onnx", 3, "ab" * 32)
NOW = 100.0


def version(number: int, model: str = "m") -> VersionRecord:
    """A version of a model."""
    return VersionRecord(
        model, number, "d", (FILE,), "model.onnx", NO_SIGNATURE, ServingConfig(), 1.0, revision=3
    )


MODEL = ModelRecord(
    "m",
    1.0,
    last_number=4,
    aliases={"champion": AliasRecord(2, 1.0, 5)},
    route=RouteRecord(1, Canary(3, 10.0), previous=4, revision=6),
    revision=6,
)
CATALOG = Catalog(
    revision=9,
    models={
        "m": MODEL,
        "empty": ModelRecord("empty", 1.0, last_number=7),
        "kept": ModelRecord("kept", 1.0, protected=True),
    },
    versions={("m", number): version(number) for number in (1, 2, 3, 4)},
)
SITUATION = DecisionContext(CATALOG, "ada", NOW, last_number=7)

Decide = Callable[[DecisionContext], Decision]


def new_version(model: str, **fields: Any) -> NewVersion:
    """A version to publish."""
    new = NewVersion(model, (FILE,), "model.onnx", NO_SIGNATURE, ServingConfig())
    return replace(new, **fields)


REFUSALS: list[tuple[str, Decide]] = [
    ("MODEL_EXISTS", partial(create_model, new=NewModel("m"))),
    ("MODEL_INVALID", partial(create_model, new=NewModel("n", description="x" * 4097))),
    ("MODEL_INVALID", partial(create_model, new=NewModel("n", keep_latest=-1))),
    ("MODEL_INVALID", partial(create_model, new=NewModel("n", labels={"": "x"}))),
    ("MODEL_INVALID", partial(create_model, new=NewModel("n", labels={"k": "x" * 129}))),
    (
        "MODEL_INVALID",
        partial(create_model, new=NewModel("n", labels={str(n): "" for n in range(65)})),
    ),
    ("MODEL_NOT_FOUND", partial(update_model, edit=ModelEdit("n"))),
    ("ETAG_MISMATCH", partial(update_model, edit=ModelEdit("m", etag="5"))),
    ("ETAG_INVALID", partial(update_model, edit=ModelEdit("m", etag="six"))),
    ("MODEL_INVALID", partial(update_model, edit=ModelEdit("m", keep_latest=101))),
    ("MODEL_PROTECTED", partial(delete_model, removal=ModelRemoval("kept"))),
    ("MODEL_PROTECTED", partial(delete_model, removal=ModelRemoval("kept", force=True))),
    ("MODEL_HAS_VERSIONS", partial(delete_model, removal=ModelRemoval("m"))),
    ("ETAG_MISMATCH", partial(delete_model, removal=ModelRemoval("m", "1", force=True))),
    ("MODEL_NOT_FOUND", partial(publish_version, new=new_version("n"))),
    ("VERSION_NOT_FOUND", partial(delete_version, removal=VersionRemoval("m", 9))),
    ("ETAG_MISMATCH", partial(delete_version, removal=VersionRemoval("m", 4, "9"))),
    ("VERSION_IN_USE", partial(delete_version, removal=VersionRemoval("m", 1))),
    ("VERSION_IN_USE", partial(delete_version, removal=VersionRemoval("m", 2))),
    ("VERSION_IN_USE", partial(delete_version, removal=VersionRemoval("m", 3))),
    ("ALIAS_NOT_FOUND", partial(move_alias, move=AliasMove("m", "new", 1))),
    ("VERSION_NOT_FOUND", partial(move_alias, move=AliasMove("m", "champion", 9))),
    ("ETAG_MISMATCH", partial(move_alias, move=AliasMove("m", "champion", 1, "6"))),
    (
        "ETAG_MISMATCH",
        partial(move_alias, move=AliasMove("m", "new", 1, "5", allow_missing=True)),
    ),
    ("ALIAS_NOT_FOUND", partial(delete_alias, removal=AliasRemoval("m", "new"))),
    ("MODEL_HAS_NO_VERSION", partial(update_route, edit=RouteEdit("empty", RouteRecord(1)))),
    ("ETAG_MISMATCH", partial(update_route, edit=RouteEdit("m", RouteRecord(1), etag="5"))),
    ("VERSION_NOT_FOUND", partial(update_route, edit=RouteEdit("m", RouteRecord(9)))),
    ("VERSION_NOT_FOUND", partial(update_route, edit=RouteEdit("m", RouteRecord(1, Canary(9, 1))))),
    ("ROUTE_INVALID", partial(update_route, edit=RouteEdit("m", RouteRecord(1, Canary(1, 5))))),
    ("ROUTE_INVALID", partial(update_route, edit=RouteEdit("m", RouteRecord(1, Canary(2, 0))))),
    ("ROUTE_INVALID", partial(update_route, edit=RouteEdit("m", RouteRecord(1, Canary(2, 100.5))))),
    (
        "ROUTE_INVALID",
        partial(update_route, edit=RouteEdit("m", RouteRecord(1, Canary(2, math.nan)))),
    ),
]


@pytest.mark.parametrize(("reason", "decide"), REFUSALS)
def test_a_request_that_cannot_be_granted_is_refused(reason: str, decide: Decide) -> None:
    """Each rule refuses by its own reason."""
    with pytest.raises(errors.HeadraceError) as caught:
        decide(SITUATION)
    assert reason == caught.value.reason


def test_a_change_says_who_when_and_what_was_before() -> None:
    """A change has the next revision, its actor and time, and the records before and after."""
    change = update_model(SITUATION, ModelEdit("m", "6", description="new"))
    after = replace(MODEL, description="new", revision=10)
    expected = Decision(
        10,
        "model.update",
        "models/m",
        "ada",
        NOW,
        {"models": {"m": after}},
        {"models": {"m": MODEL}},
    )
    assert expected == change


def test_a_model_takes_up_the_numbers_of_a_deleted_one() -> None:
    """Created again, by itself or by a push, a name goes on counting."""
    created = create_model(SITUATION, NewModel("n")).models["n"]
    pushed = publish_version(SITUATION, new_version("n", create_model=True))
    assert created is not None
    assert 7 == created.last_number
    assert ["n/8"] == list(pushed.versions)


def test_the_first_version_becomes_stable_and_later_ones_do_not() -> None:
    """The route comes with the first version and stays with it; an alias moves in the same change."""
    first = publish_version(SITUATION, new_version("empty")).models["empty"]
    of_m = replace(SITUATION, last_number=MODEL.last_number)
    later = publish_version(of_m, new_version("m", alias="champion")).models["m"]
    assert first is not None
    assert later is not None
    assert RouteRecord(8, updated_at=NOW, revision=10) == first.route
    assert MODEL.route == later.route
    assert 5 == later.last_number
    assert {"champion": AliasRecord(5, NOW, 10)} == later.aliases


ROUTES = [
    (RouteEdit("m", RouteRecord(1)), RouteRecord(1, None, 4, NOW, 10)),
    (RouteEdit("m", RouteRecord(3)), RouteRecord(3, None, 1, NOW, 10)),
    (RouteEdit("m", RouteRecord(4), etag="6"), RouteRecord(4, None, 1, NOW, 10)),
    (
        RouteEdit("m", RouteRecord(1, Canary(2, 100.0))),
        RouteRecord(1, Canary(2, 100.0), 4, NOW, 10),
    ),
    (RouteEdit("m", RouteRecord(2, Canary(1, 0.1))), RouteRecord(2, Canary(1, 0.1), 1, NOW, 10)),
]


@pytest.mark.parametrize(("edit", "expected"), ROUTES)
def test_the_former_stable_version_is_the_way_back(edit: RouteEdit, expected: RouteRecord) -> None:
    """`previous` changes only when stable does, and then to what stable was."""
    model = update_route(SITUATION, edit).models["m"]
    assert model is not None
    assert expected == model.route


def test_deleting_the_way_back_forgets_it() -> None:
    """The previous version may go; the route then has none, in the same change."""
    change = delete_version(SITUATION, VersionRemoval("m", 4, "3"))
    model = change.models["m"]
    assert model is not None
    assert model.route is not None
    assert model.route.previous is None
    assert {"m/4": None} == change.versions
    assert {"m/4": Raw(encode_sparse(version(4)))} == change.before["versions"]


def test_a_forced_delete_takes_everything_of_the_model() -> None:
    """Versions, aliases and the route go with their model, in one change."""
    change = delete_model(SITUATION, ModelRemoval("m", force=True))
    assert {"m": None} == change.models
    assert {f"m/{number}": None for number in (1, 2, 3, 4)} == change.versions


def test_the_digest_of_a_version_is_over_digests_and_paths() -> None:
    """The order of the files does not matter, their names and bytes do."""
    file, other = {FILE.path: FILE.sha256}, {"a.bin": "cd" * 32}
    digest = artifact_digest(file | other)
    assert digest == artifact_digest(other | file)
    assert digest != artifact_digest(file | {"b.bin": "cd" * 32})


def spec(*shape: int, name: str = "") -> TensorSpec:
    """A tensor whose first dimension may have a name."""
    return TensorSpec("t", Datatype.FP32, shape, (name,) * bool(shape))


PROPOSALS = [
    ([spec(-1, 4)], [spec(-1)], 64, True),
    ([spec(-1, 4, name="N")], [spec(-1, name="N"), spec(-1)], 64, True),
    ([spec(-1, name="N")], [spec(-1, name="M")], 0, True),
    ([spec(1, 4)], [spec(1)], 0, False),
    ([spec(-1, 4)], [spec()], 0, False),
    ([spec(-1, 4), spec()], [spec(-1)], 0, False),
    ([spec(-1, 4)], [spec(10)], 0, False),
    ([], [spec(-1)], 0, False),
]


@pytest.mark.parametrize(("inputs", "outputs", "proposed", "possible"), PROPOSALS)
def test_batching_is_proposed_where_rows_can_share_a_run(
    inputs: list[TensorSpec], outputs: list[TensorSpec], proposed: int, possible: bool
) -> None:
    """The first dimension must be free everywhere; other names, or rows that mix, stop the proposal."""
    signature = Signature(tuple(inputs), tuple(outputs))
    batching = ServingConfig(batching=Batching(8))
    assert (
        proposed
        == default_config.default_config(signature, BatchInvariance()).batching.max_batch_size
    )
    mixing = default_config.default_config(signature, BatchInvariance("rows are summed"))
    assert 0 == mixing.batching.max_batch_size
    if possible:
        default_config.check_config(batching, signature)
    else:
        with pytest.raises(errors.InvalidArgument, match="max_batch_size is 8"):
            default_config.check_config(batching, signature)


async def test_a_page_goes_on_where_the_last_one_ended() -> None:
    """What is added or deleted between two pages neither repeats nor hides an item."""
    first = await take_page(["a", "b", "c", "d"], str, PageRequest("letters", 2))
    second = await take_page(
        ["a", "aa", "c", "d"], str, PageRequest("letters", 2, first.next_token)
    )
    assert (("a", "b"), ("c", "d")) == (first.items, second.items)
    assert "" == second.next_token


@pytest.mark.parametrize(
    "token", ["x", "e30=", "WzFd", "bnVsbA==", "é", "WyJsZXR0ZXJzIiwgbnVsbF0="]
)
async def test_a_token_that_no_list_gave_is_refused(token: str) -> None:
    """Nonsense, however well encoded, is the caller's error."""
    with pytest.raises(errors.InvalidArgument) as caught:
        await take_page([2, 3], lambda number: number, PageRequest("letters", 2, token))
    assert "PAGE_TOKEN_INVALID" == caught.value.reason


def test_what_the_registry_says_about_a_version_reaches_the_client() -> None:
    """Notices go from the check into the record, its message and the client's version, in order."""
    said = ("batching off: it cannot be", "ZipMap was taken off")
    change = publish_version(SITUATION, new_version("m", notices=said))
    (record,) = change.versions.values()
    assert record is not None
    assert said == record.notices
    assert said == version_from_proto(version_to_proto(record)).notices
