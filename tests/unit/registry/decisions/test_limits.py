"""How much a catalog may hold, and what is said where that is reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from headrace import errors
from headrace.state.catalog import Catalog
from headrace.state.records import (
    AliasRecord,
    ArtifactFile,
    ModelRecord,
    ServingConfig,
    Signature,
    VersionRecord,
)
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.decisions.limits import CatalogLimits
from headrace_registry.domain.resources.aliases import AliasMove, move_alias
from headrace_registry.domain.resources.models import NewModel, create_model
from headrace_registry.domain.resources.versions import NewVersion, publish_version

FILE = ArtifactFile("model.onnx", 3, "a" * 64)
SIGNATURE = Signature((), ())
VERSION = VersionRecord("m", 1, "d", (FILE,), "model.onnx", SIGNATURE, ServingConfig(), 1.0)
MODEL = ModelRecord("m", 1.0, last_number=1, aliases={"champion": AliasRecord(1, 1.0)})
SITUATION = DecisionContext(
    Catalog(5, {"m": MODEL, "empty": ModelRecord("empty", 1.0)}, {("m", 1): VERSION}),
    actor="ada",
    now=9.0,
    limits=CatalogLimits(models=2, versions_per_model=1, aliases_per_model=1),
)
NEW = partial(
    NewVersion, files=(FILE,), graph_path="m", signature=SIGNATURE, config=ServingConfig()
)

Decide = Callable[[DecisionContext], Decision]


@pytest.mark.parametrize(
    ("decide", "reason", "setting"),
    [
        (partial(create_model, new=NewModel("n")), "TOO_MANY_MODELS", "max_models"),
        (
            partial(publish_version, new=NEW("n", create_model=True)),
            "TOO_MANY_MODELS",
            "max_models",
        ),
        (partial(publish_version, new=NEW("m")), "TOO_MANY_VERSIONS", "max_versions_per_model"),
        (
            partial(move_alias, move=AliasMove("m", "new", 1, allow_missing=True)),
            "TOO_MANY_ALIASES",
            "max_aliases_per_model",
        ),
    ],
)
def test_what_is_over_a_limit_is_refused_by_its_name(
    decide: Decide, reason: str, setting: str
) -> None:
    """The refusal says which setting allows more."""
    with pytest.raises(errors.ResourceExhausted) as caught:
        decide(SITUATION)
    assert (reason, setting) == (caught.value.reason, caught.value.facts["setting"])
    assert setting in caught.value.message


@pytest.mark.parametrize(
    "decide",
    [
        partial(publish_version, new=NEW("empty", alias="first")),
        partial(move_alias, move=AliasMove("m", "champion", 1)),
    ],
)
def test_what_is_there_can_move_at_the_limit(decide: Decide) -> None:
    """Limits bound what is new."""
    assert 6 == decide(SITUATION).revision


def test_what_is_known_of_a_version_is_bounded() -> None:
    """As many files as an archive may have fit; paths of any length do not."""
    files = [
        tuple(ArtifactFile(f"{at:0{length}}", 1, "a" * 64) for at in range(10_000))
        for length in (200, 400)
    ]
    many = replace(NEW("empty"), files=files[0])
    assert 6 == publish_version(SITUATION, many).revision
    with pytest.raises(errors.ResourceExhausted) as caught:
        publish_version(SITUATION, replace(many, files=files[1]))
    assert "RECORD_TOO_LARGE" == caught.value.reason


def test_a_push_with_a_new_alias_needs_room_for_it() -> None:
    """The version alone would be taken."""
    context = DecisionContext(
        SITUATION.catalog, "ada", 9.0, limits=CatalogLimits(aliases_per_model=1)
    )
    assert 6 == publish_version(context, NEW("m", alias="champion")).revision
    with pytest.raises(errors.ResourceExhausted, match="max_aliases_per_model"):
        publish_version(context, NEW("m", alias="new"))
