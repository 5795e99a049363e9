"""Versions: numbering, publishing and deleting them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from headrace import errors
from headrace.artifacts.digests import artifact_digest
from headrace.resource_names import version_resource
from headrace.state.annotation_records import AnnotationRecord
from headrace.state.catalog import Catalog
from headrace.state.changes import ChangedResource
from headrace.state.language_records import LanguageFacts
from headrace.state.record_collections import ANNOTATIONS, MODELS, VERSIONS
from headrace.state.records import (
    ArtifactFile,
    ModelRecord,
    ServingConfig,
    Signature,
    VersionRecord,
)
from headrace.state.route_records import RouteRecord
from headrace_registry.domain.belongings import without_belongings
from headrace_registry.domain.decisions.decision import Decision, Records
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.decisions.etags import check_etag
from headrace_registry.domain.decisions.gated import check_gate_of_push
from headrace_registry.domain.decisions.limits import (
    check_record,
    check_room_for_alias,
    check_room_for_model,
    check_room_for_version,
)
from headrace_registry.domain.decisions.signature_changes import (
    breaking_changes,
    check_signature,
    listed,
)
from headrace_registry.domain.resources.annotation_checks import check_annotations, check_measured
from headrace_registry.domain.resources.annotation_edits import (
    UPDATE_ANNOTATIONS,
    AnnotationEdit,
    edited,
)
from headrace_registry.domain.resources.models import (
    NewModel,
    begin_model,
    find_model,
    with_alias,
)


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version whose artifact is checked and stored, to be published."""

    model: str
    files: tuple[ArtifactFile, ...]
    graph_path: str
    signature: Signature
    config: ServingConfig
    description: str = ""
    alias: str = ""
    create_model: bool = False
    notices: tuple[str, ...] = ()
    allow_signature_change: bool = False
    signature_bundle: str = ""
    language: LanguageFacts | None = None
    said: AnnotationEdit | None = None
    """What is said of it from the start."""
    allow_gate_failure: bool = False


@dataclass(frozen=True, slots=True)
class VersionRemoval:
    """A version to delete."""

    model: str
    number: int
    etag: str = ""


def find_version(catalog: Catalog, model: str, number: int) -> VersionRecord:
    """The version. Raises NotFound (MODEL_NOT_FOUND, VERSION_NOT_FOUND)."""
    find_model(catalog, model)
    version = catalog.versions.get((model, number))
    if version is None:
        raise errors.NotFound(
            "VERSION_NOT_FOUND",
            f"model {model!r} has no version {number}",
            facts={"model": model, "version": str(number)},
        )
    return version


def publish_version(context: DecisionContext, new: NewVersion) -> Decision:
    """Decide on a version to publish: it gets the next number; the first of a model becomes stable.

    Raises NotFound (MODEL_NOT_FOUND), FailedPrecondition (SIGNATURE_CHANGED) for an alias that moves,
    and (GATE_NOT_PASSED), ResourceExhausted.
    """
    model = model_for_push(context, new.model, create_model=new.create_model, alias=new.alias)
    version = _recorded(context, model, new)
    check_record(version)
    _check_alias(context.catalog, model, version, new)
    records: dict[str, Mapping[str, object]] = {
        MODELS.name: {new.model: _with_version(context, model, version.number, new.alias)},
        VERSIONS.name: {version.key: version},
    }
    resource = version_resource(new.model, version.number)
    said = said_from_the_start(context, new.said, version.number)
    further = check_gate_of_push(
        context.catalog,
        model,
        version.number,
        new.alias,
        said.metrics if said else (),
        allowed=new.allow_gate_failure,
    )
    if said is not None:
        records[ANNOTATIONS.name] = {said.name: said}
        further = (ChangedResource(UPDATE_ANNOTATIONS, said.name), *further)
    return context.change("version.push", resource, records, further)


def _recorded(context: DecisionContext, model: ModelRecord, new: NewVersion) -> VersionRecord:
    """The record of the version, with what there is to say of it."""
    version = VersionRecord(
        model=new.model,
        number=max(model.last_number, context.last_number) + 1,
        digest=artifact_digest({file.path: file.sha256 for file in new.files}),
        files=new.files,
        graph_path=new.graph_path,
        signature=new.signature,
        config=new.config,
        created_at=context.now,
        description=new.description,
        revision=context.next_revision,
        notices=new.notices,
        signature_bundle=new.signature_bundle,
        language=new.language,
    )
    unlike = _unlike_stable(context.catalog, model, version)
    return replace(version, notices=(*version.notices, *unlike))


def said_from_the_start(
    context: DecisionContext, said: AnnotationEdit | None, number: int
) -> AnnotationRecord | None:
    """The annotations that a push brings. Raises as a later change of them does."""
    if said is None:
        return None
    check_measured(said.set_metrics, context.now)
    record = edited(AnnotationRecord(said.model, number), said, context.now)
    return check_annotations(
        replace(record, updated_at=context.now, revision=context.next_revision)
    )


def _unlike_stable(catalog: Catalog, model: ModelRecord, new: VersionRecord) -> Iterator[str]:
    """Says now what a route to the new version is going to be refused for."""
    stable = catalog.versions.get((model.name, model.route.stable)) if model.route else None
    changes = breaking_changes(stable, new) if stable else ()
    if stable and changes:
        yield f"signature differs from stable version {stable.number}: {listed(changes)}"


def _check_alias(
    catalog: Catalog, model: ModelRecord, version: VersionRecord, new: NewVersion
) -> None:
    """Pass if callers of the alias, if it is there, can be answered by the new version.

    No replica serves it yet: until one does, that one answers with what the alias led to before.
    """
    alias = model.aliases.get(new.alias)
    if alias is not None:
        before = catalog.versions.get((new.model, alias.version))
        check_signature(before, version, allowed=new.allow_signature_change)


def model_for_push(
    context: DecisionContext, name: str, *, create_model: bool, alias: str = ""
) -> ModelRecord:
    """The model to push to, perhaps one that the push creates, with room for a version and the alias.

    Raises NotFound (MODEL_NOT_FOUND), ResourceExhausted.
    """
    catalog, limits = context.catalog, context.limits
    if create_model and name not in catalog.models:
        check_room_for_model(catalog, limits)
        return begin_model(context, NewModel(name))
    model = find_model(catalog, name)
    check_room_for_version(catalog, name, limits)
    if alias:
        check_room_for_alias(model, alias, limits)
    return model


def delete_version(context: DecisionContext, removal: VersionRemoval) -> Decision:
    """Decide on a version's end. Raises NotFound, Aborted, FailedPrecondition (VERSION_IN_USE)."""
    version = find_version(context.catalog, removal.model, removal.number)
    resource = version_resource(removal.model, removal.number)
    check_etag(removal.etag, version.revision, resource)
    model = find_model(context.catalog, removal.model)
    references = references_to(model, removal.number)
    if references:
        raise errors.FailedPrecondition(
            "VERSION_IN_USE",
            f"{resource} is named by {', '.join(references)}: point them elsewhere first",
            facts={"version": resource, "named_by": ", ".join(references)},
        )
    changed = replace(
        model,
        route=_forgetting(context, model.route, removal.number),
        revision=context.next_revision,
    )
    records: Records = {
        MODELS.name: {removal.model: changed},
        VERSIONS.name: {version.key: None},
        **without_belongings(context.catalog, removal.model, [removal.number]),
    }
    return context.change("version.delete", resource, records)


def references_to(model: ModelRecord, number: int) -> list[str]:
    """Lists what sends requests to a version: the route in its roles, and aliases. `previous` does not."""
    roles = [role for role, named in model.route.named() if named == number] if model.route else []
    found = [f"the route ({role})" for role in dict.fromkeys(roles)]
    named = [name for name, alias in sorted(model.aliases.items()) if alias.version == number]
    return found + [f"alias {name!r}" for name in named]


def _with_version(
    context: DecisionContext, model: ModelRecord, number: int, alias: str
) -> ModelRecord:
    revision = context.next_revision
    aliases = with_alias(context, model, alias, number) if alias else model.aliases
    first = RouteRecord(stable=number, updated_at=context.now, revision=revision)
    return replace(
        model,
        last_number=number,
        aliases=aliases,
        route=model.route or first,
        revision=revision,
    )


def _forgetting(
    context: DecisionContext, route: RouteRecord | None, number: int
) -> RouteRecord | None:
    """The route without a way back to a version that goes."""
    if route is None or route.previous != number:
        return route
    return replace(route, previous=None, updated_at=context.now, revision=context.next_revision)
