"""References: setting, copying and deleting them, and what is enforced of their schemas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from headrace import errors
from headrace.datatype_names import Datatype
from headrace.resource_names import reference_resource
from headrace.state.catalog import Catalog
from headrace.state.record_collections import REFERENCES
from headrace.state.records import Signature, VersionRecord
from headrace.state.reference_records import ReferenceRecord
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.decisions.etags import check_etag
from headrace_registry.domain.resources.versions import find_version

SET = "reference.set"
ENFORCE = "reference.enforce"
DELETE = "reference.delete"
_LISTED = 5


@dataclass(frozen=True, slots=True)
class ReferenceContent:
    """The content of a reference as bytes, and the facts of it that decide."""

    data: bytes
    sha256: str
    rows: int
    fields: int
    inputs: frozenset[str] = frozenset()
    """The inputs that it tells of."""
    outputs: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    """The tensors that it takes for numbers."""
    texts: frozenset[str] = frozenset()
    """The tensors that it takes for texts."""
    enforceable: frozenset[str] = frozenset()
    """The fields of inputs of which something was learnt."""


@dataclass(frozen=True, slots=True)
class NewReference:
    """A reference to set. `enforcement` None: as it is now, of fields that are there."""

    model: str
    number: int
    content: ReferenceContent
    source: str = ""
    origin: str = ""
    created_at: float = 0.0
    enforcement: Mapping[str, str] | None = None
    etag: str = ""


@dataclass(frozen=True, slots=True)
class ReferenceCopy:
    """A reference to take from another version of the model."""

    model: str
    number: int
    of: int
    etag: str = ""


@dataclass(frozen=True, slots=True)
class ReferenceRemoval:
    """A reference to delete."""

    model: str
    number: int
    etag: str = ""


@dataclass(frozen=True, slots=True)
class EnforcementEdit:
    """What is done with rows that differ, by field (`count`, `flag`, `reject`)."""

    model: str
    number: int
    fields: Mapping[str, str] = field(default_factory=dict)
    etag: str = ""


def find_reference(catalog: Catalog, model: str, number: int) -> ReferenceRecord:
    """The reference of a version. Raises NotFound (REFERENCE_NOT_FOUND, and as of versions)."""
    find_version(catalog, model, number)
    found = reference_in(catalog, model, number)
    if found is None:
        raise errors.NotFound(
            "REFERENCE_NOT_FOUND",
            f"version {number} of {model!r} has no reference: `headrace reference set {model}/{number}` "
            "makes one",
            facts={"model": model, "version": str(number)},
        )
    return found


def reference_in(catalog: Catalog, model: str, number: int) -> ReferenceRecord | None:
    """The reference of a version, or None."""
    return catalog.of(REFERENCES).get(reference_resource(model, number))


def set_reference(context: DecisionContext, new: NewReference) -> Decision:
    """Decide on a reference that takes the place of another, if there is one.

    Raises NotFound, Aborted, InvalidArgument (REFERENCE_INVALID, ENFORCEMENT_INVALID).
    """
    content = new.content
    version = find_version(context.catalog, new.model, new.number)
    _check_tensors(content, version.signature)
    _check_datatypes(content, version.signature)
    record = ReferenceRecord(
        new.model,
        new.number,
        content.sha256,
        len(content.data),
        new.source,
        content.rows,
        content.fields,
        new.origin,
        new.created_at or context.now,
    )
    if new.enforcement is None:
        present = reference_in(context.catalog, new.model, new.number)
        kept = present.enforcement if present else {}
        enforced = {name: word for name, word in kept.items() if name in content.enforceable}
    else:
        _check_tensors_alone(version)
        check_enforceable(new.enforcement, content.enforceable)
        enforced = _without_counted(new.enforcement)
    return _set(context, SET, replace(record, enforcement=enforced), new.etag)


def copy_reference(context: DecisionContext, copied: ReferenceCopy) -> Decision:
    """Decide on a reference that another version of the model has, with what is enforced of it.

    Raises NotFound, Aborted, InvalidArgument (REFERENCE_INVALID) where their tensors differ.
    """
    version = find_version(context.catalog, copied.model, copied.number)
    theirs = find_version(context.catalog, copied.model, copied.of)
    source = find_reference(context.catalog, copied.model, copied.of)
    ours = ReferenceContent(
        b"", source.sha256, 0, 0, _names(theirs.signature), _outputs(theirs.signature)
    )
    _check_tensors(ours, version.signature)
    made = replace(
        source,
        number=copied.number,
        source="version",
        origin=f"version {copied.of}" + (f", {source.origin}" if source.origin else ""),
    )
    return _set(context, SET, made, copied.etag)


def update_enforcement(
    context: DecisionContext, edit: EnforcementEdit, sha256: str, enforceable: AbstractSet[str]
) -> Decision:
    """Decide on what is enforced; `enforceable` are the fields of the content with this digest.

    Raises NotFound, Aborted (also where the content is another by now), InvalidArgument
    (ENFORCEMENT_INVALID).
    """
    present = find_reference(context.catalog, edit.model, edit.number)
    if present.sha256 != sha256:
        raise errors.Aborted(
            "ETAG_MISMATCH",
            f"{present.name} was set anew meanwhile: read it again, then decide",
            facts={"resource": present.name},
        )
    _check_tensors_alone(find_version(context.catalog, edit.model, edit.number))
    check_enforceable(edit.fields, enforceable)
    enforced = _without_counted({**present.enforcement, **edit.fields})
    return _set(context, ENFORCE, replace(present, enforcement=enforced), edit.etag)


def delete_reference(context: DecisionContext, removal: ReferenceRemoval) -> Decision:
    """Decide on a reference's end. Raises NotFound, Aborted."""
    present = find_reference(context.catalog, removal.model, removal.number)
    check_etag(removal.etag, present.revision, present.name)
    return context.change(DELETE, present.name, {REFERENCES.name: {present.name: None}})


def check_enforceable(fields: Iterable[str], enforceable: AbstractSet[str]) -> None:
    """Pass for fields of which something was learnt. Raises InvalidArgument (ENFORCEMENT_INVALID)."""
    unknown = sorted(set(fields) - enforceable)
    if not unknown:
        return
    allowed = sorted(enforceable)
    more = f" and {len(allowed) - _LISTED} more" if len(allowed) > _LISTED else ""
    raise errors.InvalidArgument(
        "ENFORCEMENT_INVALID",
        f"nothing can be enforced of {', '.join(map(repr, unknown[:_LISTED]))}: something was learnt of "
        f"{', '.join(map(repr, allowed[:_LISTED])) + more if allowed else 'no input'}",
        facts={"fields": ", ".join(unknown[:_LISTED])},
    )


def _check_tensors_alone(version: VersionRecord) -> None:
    """Pass for a version of tensors. Raises InvalidArgument (ENFORCEMENT_INVALID) for one of text."""
    if version.language is not None:
        raise errors.InvalidArgument(
            "ENFORCEMENT_INVALID",
            f"version {version.number} of {version.model!r} takes texts, and nothing is enforced of those: "
            "its data are profiled, and counted",
        )


def _set(context: DecisionContext, kind: str, record: ReferenceRecord, etag: str) -> Decision:
    present = reference_in(context.catalog, record.model, record.number)
    check_etag(etag, present.revision if present else None, record.name)
    made = replace(record, updated_at=context.now, revision=context.next_revision)
    return context.change(kind, made.name, {REFERENCES.name: {made.name: made}})


def _without_counted(enforcement: Mapping[str, str]) -> dict[str, str]:
    return {name: word for name, word in sorted(enforcement.items()) if word != "count"}


def _check_tensors(content: ReferenceContent, signature: Signature) -> None:
    """Pass if the version has all that the content tells of. Raises InvalidArgument (REFERENCE_INVALID)."""
    for noun, told, there in (
        ("input", content.inputs, _names(signature)),
        ("output", content.outputs, _outputs(signature)),
    ):
        unknown = sorted(told - there)
        if unknown:
            raise errors.InvalidArgument(
                "REFERENCE_INVALID",
                f"the reference tells of {noun} {unknown[0]!r}, which the version has not: its {noun}s are "
                f"{', '.join(map(repr, sorted(there)))}",
                facts={"tensor": unknown[0]},
            )


def _check_datatypes(content: ReferenceContent, signature: Signature) -> None:
    """Pass if what it takes for numbers or texts is. Raises InvalidArgument (REFERENCE_INVALID)."""
    specs = (*signature.inputs, *signature.optional_inputs, *signature.outputs)
    of_bytes = {spec.name for spec in specs if spec.datatype is Datatype.BYTES}
    for told, wrong in (
        ("numbers", content.numbers & of_bytes),
        ("texts", content.texts - of_bytes),
    ):
        if wrong:
            raise errors.InvalidArgument(
                "REFERENCE_INVALID",
                f"the reference tells of {told} in {min(wrong)!r}, which has none",
                facts={"tensor": min(wrong)},
            )


def _names(signature: Signature) -> frozenset[str]:
    return frozenset(each.name for each in (*signature.inputs, *signature.optional_inputs))


def _outputs(signature: Signature) -> frozenset[str]:
    return frozenset(each.name for each in signature.outputs)
