"""Models: creating, changing and deleting them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from headrace import errors
from headrace.errors import FieldViolation
from headrace.gates import check_gate
from headrace.resource_names import model_resource
from headrace.state.catalog import Catalog
from headrace.state.gate_records import GateRecord
from headrace.state.record_collections import MODELS, VERSIONS
from headrace.state.records import AliasRecord, ModelRecord, version_key
from headrace_registry.domain.belongings import without_belongings
from headrace_registry.domain.decisions.decision import Decision, Records
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.decisions.etags import check_etag
from headrace_registry.domain.decisions.limits import check_room_for_model

# What the contract states (protos/headrace/registry/v1/model.proto).
MAX_DESCRIPTION_CHARACTERS = 4096
MAX_LABELS = 64
MAX_LABEL_CHARACTERS = 128
MAX_KEEP_LATEST = 100
DEFAULT_KEEP_LATEST = 1


@dataclass(frozen=True, slots=True)
class NewModel:
    """A model to create."""

    name: str
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    keep_latest: int = DEFAULT_KEEP_LATEST
    pinned: bool = False
    protected: bool = False
    gate: GateRecord | None = None


@dataclass(frozen=True, slots=True)
class ModelEdit:
    """A change of a model: None leaves as it is; a gate that demands nothing takes it away."""

    name: str
    etag: str = ""
    description: str | None = None
    labels: Mapping[str, str] | None = None
    keep_latest: int | None = None
    pinned: bool | None = None
    protected: bool | None = None
    gate: GateRecord | None = None


@dataclass(frozen=True, slots=True)
class ModelRemoval:
    """A model to delete, unless it is protected; with `force` also its versions, aliases and route."""

    name: str
    etag: str = ""
    force: bool = False


def find_model(catalog: Catalog, name: str) -> ModelRecord:
    """The model. Raises NotFound (MODEL_NOT_FOUND)."""
    model = catalog.models.get(name)
    if model is None:
        raise errors.NotFound(
            "MODEL_NOT_FOUND",
            f"there is no model {name!r}: create it, or push a version with create_model",
            facts={"model": name},
        )
    return model


def create_model(context: DecisionContext, new: NewModel) -> Decision:
    """Decide on a model to create.

    Raises AlreadyExists (MODEL_EXISTS), InvalidArgument (MODEL_INVALID, GATE_INVALID), ResourceExhausted.
    """
    if new.name in context.catalog.models:
        raise errors.AlreadyExists(
            "MODEL_EXISTS",
            f"there is a model {new.name!r} already: update it, or choose another name",
            facts={"model": new.name},
        )
    check_room_for_model(context.catalog, context.limits)
    model = _checked(begin_model(context, new))
    return context.change(
        "model.create", model_resource(new.name), {MODELS.name: {new.name: model}}
    )


def begin_model(context: DecisionContext, new: NewModel) -> ModelRecord:
    """The record of a model that is not there yet: its numbers go on where a deleted one's ended."""
    return ModelRecord(
        name=new.name,
        created_at=context.now,
        description=new.description,
        labels=dict(new.labels),
        keep_latest=new.keep_latest,
        pinned=new.pinned,
        protected=new.protected or context.limits.protect_models,
        gate=new.gate,
        last_number=context.last_number,
        revision=context.next_revision,
    )


def with_alias(
    context: DecisionContext, model: ModelRecord, alias: str, version: int
) -> Mapping[str, AliasRecord]:
    """The aliases of a model, with one of them, new or present, pointing at a version."""
    revision, present = context.next_revision, model.aliases.get(alias)
    moved = AliasRecord(version, context.now, revision)
    if present is not None:
        moved = replace(present, version=version, updated_at=context.now, revision=revision)
    return {**model.aliases, alias: moved}


def update_model(context: DecisionContext, edit: ModelEdit) -> Decision:
    """Decide on a model's change. Raises NotFound, Aborted, InvalidArgument."""
    model = find_model(context.catalog, edit.name)
    check_etag(edit.etag, model.revision, model_resource(edit.name))
    changed = _checked(
        replace(
            model,
            description=model.description if edit.description is None else edit.description,
            labels=model.labels if edit.labels is None else dict(edit.labels),
            keep_latest=model.keep_latest if edit.keep_latest is None else edit.keep_latest,
            pinned=model.pinned if edit.pinned is None else edit.pinned,
            protected=model.protected if edit.protected is None else edit.protected,
            gate=model.gate if edit.gate is None else _demanding(edit.gate),
            revision=context.next_revision,
        )
    )
    return context.change(
        "model.update", model_resource(edit.name), {MODELS.name: {edit.name: changed}}
    )


def _demanding(gate: GateRecord) -> GateRecord | None:
    return None if gate.is_open else gate


def delete_model(context: DecisionContext, removal: ModelRemoval) -> Decision:
    """Decide on a model's end.

    Raises NotFound, Aborted, FailedPrecondition (MODEL_PROTECTED, MODEL_HAS_VERSIONS).
    """
    name = removal.name
    model = find_model(context.catalog, name)
    check_etag(removal.etag, model.revision, model_resource(name))
    _check_unprotected(model)
    versions = context.catalog.numbers_of(name)
    if versions and not removal.force:
        raise errors.FailedPrecondition(
            "MODEL_HAS_VERSIONS",
            f"model {name!r} has {len(versions)} version(s): delete them first, or force",
            facts={"model": name, "versions": str(len(versions))},
        )
    gone = {version_key(name, number): None for number in versions}
    records: Records = {
        MODELS.name: {name: None},
        VERSIONS.name: gone,
        **without_belongings(context.catalog, name, versions),
    }
    return context.change("model.delete", model_resource(name), records)


def _check_unprotected(model: ModelRecord) -> None:
    """Force is for what hangs on a model; that it is not needed any more is said by a change of its own."""
    if model.protected:
        raise errors.FailedPrecondition(
            "MODEL_PROTECTED",
            f"model {model.name!r} is protected and cannot be deleted, forced or not: if nobody needs it "
            "any more, set `protected` to false first",
            facts={"model": model.name},
        )


def check_description(description: str) -> None:
    """Pass if it is short enough. Raises InvalidArgument (DESCRIPTION_TOO_LONG)."""
    if len(description) > MAX_DESCRIPTION_CHARACTERS:
        raise errors.InvalidArgument(
            "DESCRIPTION_TOO_LONG",
            f"the description has {len(description)} characters; "
            f"up to {MAX_DESCRIPTION_CHARACTERS} are allowed",
            violations=(FieldViolation("description", f"up to {MAX_DESCRIPTION_CHARACTERS}"),),
        )


def _checked(model: ModelRecord) -> ModelRecord:
    if model.gate is not None:
        check_gate(model.gate)
    violations = tuple(_violations(model))
    if violations:
        listed = "; ".join(f"{wrong.field}: {wrong.description}" for wrong in violations)
        raise errors.InvalidArgument(
            "MODEL_INVALID", f"the model is not valid: {listed}", violations=violations
        )
    return model


def _violations(model: ModelRecord) -> Iterator[FieldViolation]:
    if len(model.description) > MAX_DESCRIPTION_CHARACTERS:
        yield FieldViolation(
            "model.description",
            f"{len(model.description)} characters; up to {MAX_DESCRIPTION_CHARACTERS} are allowed",
        )
    if len(model.labels) > MAX_LABELS:
        yield FieldViolation(
            "model.labels", f"{len(model.labels)} labels; up to {MAX_LABELS} are allowed"
        )
    if any(not _is_label(key, value) for key, value in model.labels.items()):
        yield FieldViolation(
            "model.labels",
            f"keys have 1 to {MAX_LABEL_CHARACTERS} characters, values up to as many",
        )
    if not 0 <= model.keep_latest <= MAX_KEEP_LATEST:
        yield FieldViolation(
            "model.keep_latest", f"{model.keep_latest} is not between 0 and {MAX_KEEP_LATEST}"
        )


def _is_label(key: str, value: str) -> bool:
    return 1 <= len(key) <= MAX_LABEL_CHARACTERS and len(value) <= MAX_LABEL_CHARACTERS
