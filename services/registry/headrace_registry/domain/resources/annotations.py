"""Annotations of versions: changing what is said of them, and the files that belong to them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headrace import errors
from headrace.resource_names import annotations_resource
from headrace.state.annotation_records import AnnotationRecord, Attachment
from headrace.state.catalog import Catalog
from headrace.state.record_collections import ANNOTATIONS
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.decisions.etags import check_etag
from headrace_registry.domain.resources.annotation_checks import (
    check_annotations,
    check_attachment,
    check_measured,
    check_paths,
)
from headrace_registry.domain.resources.annotation_edits import (
    UPDATE_ANNOTATIONS,
    AnnotationEdit,
    edited,
)
from headrace_registry.domain.resources.versions import find_version

ATTACH = "annotations.attach"
DETACH = "annotations.detach"


@dataclass(frozen=True, slots=True)
class NewAttachment:
    """A file to put to a version."""

    model: str
    number: int
    attachment: Attachment
    etag: str = ""


@dataclass(frozen=True, slots=True)
class AttachmentRemoval:
    """A file to take away."""

    model: str
    number: int
    path: str
    etag: str = ""


def find_annotations(catalog: Catalog, model: str, number: int) -> AnnotationRecord:
    """All that is said of a version: an empty record where nothing is. Raises NotFound for the version."""
    find_version(catalog, model, number)
    return annotations_in(catalog, model, number) or AnnotationRecord(model, number)


def annotations_in(catalog: Catalog, model: str, number: int) -> AnnotationRecord | None:
    """All that is said of a version; None where nothing ever was."""
    return catalog.of(ANNOTATIONS).get(annotations_resource(model, number))


def update_annotations(context: DecisionContext, edit: AnnotationEdit) -> Decision:
    """Decide on a change of what is said.

    Raises NotFound, Aborted, InvalidArgument (ANNOTATIONS_INVALID), ResourceExhausted
    (ANNOTATIONS_TOO_LARGE).
    """
    present = find_annotations(context.catalog, edit.model, edit.number)
    check_etag(edit.etag, present.revision, present.name)
    check_measured(edit.set_metrics, context.now)
    return _set(context, UPDATE_ANNOTATIONS, check_annotations(edited(present, edit, context.now)))


def put_attachment(context: DecisionContext, new: NewAttachment) -> Decision:
    """Decide on a file that takes the place of the one with its path, if there is one.

    Raises NotFound, Aborted, InvalidArgument (ATTACHMENT_INVALID), ResourceExhausted
    (ATTACHMENT_TOO_LARGE, ANNOTATIONS_TOO_LARGE).
    """
    check_attachment(new.attachment)
    present = find_annotations(context.catalog, new.model, new.number)
    check_etag(new.etag, present.revision, present.name)
    put = replace(new.attachment, created_at=context.now)
    files = {**{each.path: each for each in present.attachments}, put.path: put}
    changed = replace(present, attachments=tuple(files[path] for path in sorted(files)))
    check_paths(changed)
    return _set(context, ATTACH, check_annotations(changed))


def delete_attachment(context: DecisionContext, removal: AttachmentRemoval) -> Decision:
    """Decide on the end of a file. Raises NotFound (ATTACHMENT_NOT_FOUND), Aborted."""
    present = find_annotations(context.catalog, removal.model, removal.number)
    check_etag(removal.etag, present.revision, present.name)
    left = tuple(each for each in present.attachments if each.path != removal.path)
    if len(left) == len(present.attachments):
        raise attachment_not_found(present, removal.path)
    return _set(context, DETACH, replace(present, attachments=left))


def attachment_not_found(record: AnnotationRecord, path: str) -> errors.NotFound:
    """The error for a file that a version does not have."""
    there = ", ".join(repr(each.path) for each in record.attachments[:5]) or "none"
    more = f" and {len(record.attachments) - 5} more" if len(record.attachments) > 5 else ""
    return errors.NotFound(
        "ATTACHMENT_NOT_FOUND",
        f"version {record.number} of {record.model!r} has no attachment {path[:200]!r}: it has "
        f"{there}{more}",
        facts={"model": record.model, "version": str(record.number)},
    )


def _set(context: DecisionContext, kind: str, record: AnnotationRecord) -> Decision:
    made = replace(record, updated_at=context.now, revision=context.next_revision)
    return context.change(kind, made.name, {ANNOTATIONS.name: {made.name: made}})
