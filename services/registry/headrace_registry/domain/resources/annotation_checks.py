"""What annotations may say: their limits, which keep what every replica follows small."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping

from headrace import errors
from headrace.errors import FieldViolation
from headrace.model_files.artifact_names import ArtifactPaths
from headrace.state.annotation_records import AnnotationRecord, Attachment, Lineage, Metric
from headrace.state.codec import encode_sparse

# What the contract states (protos/headrace/registry/v1/annotation.proto).
MAX_TAGS = 64
MAX_TAG_CHARACTERS = 256
MAX_DESCRIPTION_CHARACTERS = 4096
MAX_METRICS = 512
MAX_ATTACHMENTS = 64
MAX_ATTACHMENT_BYTES = 16 << 20
MAX_PATH_CHARACTERS = 256
MAX_FACTS = 32
MAX_FACT_CHARACTERS = 512
MAX_COMMAND_CHARACTERS = 2048
MAX_RUN_CHARACTERS = 256
MAX_NAME_CHARACTERS = 128
MAX_RECORD_BYTES = 64 << 10
"""Every registry and replica keeps all annotations in memory."""

CLOCK_SECONDS = 3600.0
"""How far the clocks of callers may be ahead."""

_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,64}(; ?[\w-]{1,32}=[\w.-]{1,32})?", re.ASCII)
_SHOWN = 80


def check_annotations(record: AnnotationRecord) -> AnnotationRecord:
    """The record, if it keeps to what the contract states.

    Raises InvalidArgument (ANNOTATIONS_INVALID) for what can never be right, ResourceExhausted
    (ANNOTATIONS_TOO_LARGE) for what is too much of it.
    """
    _check_counts(record)
    violations = tuple(_violations(record))
    if violations:
        first = violations[0]
        raise errors.InvalidArgument(
            "ANNOTATIONS_INVALID",
            f"the annotations are not valid: {first.field}: {first.description}",
            violations=violations[:_SHOWN],
        )
    _check_size(record)
    return record


def check_measured(metrics: Iterable[Metric], now: float) -> None:
    """Pass if nothing is said to be measured later than now: it would be the newest value for ever.

    Raises InvalidArgument (ANNOTATIONS_INVALID).
    """
    late = next((each for each in metrics if each.measured_at > now + CLOCK_SECONDS), None)
    if late is not None:
        raise errors.InvalidArgument(
            "ANNOTATIONS_INVALID",
            f"the metric {late.name[:_SHOWN]!r} is said to be measured {late.measured_at - now:.0f} s from "
            "now: set the clock, or leave the time out",
        )


def check_attachment(attachment: Attachment) -> None:
    """Pass if an attachment may be put.

    Raises InvalidArgument (ATTACHMENT_INVALID), ResourceExhausted (ATTACHMENT_TOO_LARGE).
    """
    wrong = next(_attachment_faults(attachment), None)
    if wrong is not None:
        raise errors.InvalidArgument(
            "ATTACHMENT_INVALID",
            f"the attachment {attachment.path[:_SHOWN]!r} is not valid: {wrong}",
        )
    if attachment.size_bytes > MAX_ATTACHMENT_BYTES:
        raise errors.ResourceExhausted(
            "ATTACHMENT_TOO_LARGE",
            f"{attachment.path!r} has {attachment.size_bytes} bytes; up to {MAX_ATTACHMENT_BYTES} are "
            "kept with a version: attach less of it, or say in a tag where it is",
            facts={"limit": str(MAX_ATTACHMENT_BYTES)},
        )


def _attachment_faults(attachment: Attachment) -> Iterator[str]:
    if len(attachment.path) > MAX_PATH_CHARACTERS:
        yield f"its path has {len(attachment.path)} characters; up to {MAX_PATH_CHARACTERS} are allowed"
    try:
        path = ArtifactPaths().add(attachment.path)
    except errors.InvalidArgument:
        yield "its path must be relative, stay inside, and have plain names, such as 'plots/loss.png'"
    else:
        if path.as_posix() != attachment.path:
            yield f"write its path as {path.as_posix()!r}"
    if not _MEDIA_TYPE.fullmatch(attachment.media_type):
        yield f"{attachment.media_type[:_SHOWN]!r} is not a media type, such as 'text/markdown'"
    if attachment.size_bytes < 0:
        yield f"{attachment.size_bytes} is not a size"


def check_paths(record: AnnotationRecord) -> None:
    """Pass if all attachments can lie in one folder. Raises InvalidArgument (ATTACHMENT_INVALID)."""
    paths = ArtifactPaths()
    try:
        for attachment in record.attachments:
            paths.add(attachment.path)
    except errors.InvalidArgument as error:
        said = error.message.replace("the artifact has", "the version would have")
        raise errors.InvalidArgument("ATTACHMENT_INVALID", said) from error


def _check_counts(record: AnnotationRecord) -> None:
    facts = record.lineage.facts if record.lineage else {}
    for noun, there, limit in (
        ("tags", len(record.tags), MAX_TAGS),
        ("metrics", len(record.metrics), MAX_METRICS),
        ("attachments", len(record.attachments), MAX_ATTACHMENTS),
        ("facts of its lineage", len(facts), MAX_FACTS),
    ):
        if there > limit:
            raise errors.ResourceExhausted(
                "ANNOTATIONS_TOO_LARGE",
                f"version {record.number} of {record.model!r} would have {there} {noun}; up to {limit} "
                "are allowed: take some away",
                facts={"limit": str(limit)},
            )


def _check_size(record: AnnotationRecord) -> None:
    size = len(encode_sparse(record))
    if size > MAX_RECORD_BYTES:
        raise errors.ResourceExhausted(
            "ANNOTATIONS_TOO_LARGE",
            f"the annotations of version {record.number} of {record.model!r} would have {size} bytes; up "
            f"to {MAX_RECORD_BYTES} are kept: say it with fewer metrics or shorter texts, or attach a file",
            facts={"limit": str(MAX_RECORD_BYTES)},
        )


def _violations(record: AnnotationRecord) -> Iterator[FieldViolation]:
    yield from _mapping_faults("tags", record.tags, MAX_TAG_CHARACTERS)
    if len(record.description) > MAX_DESCRIPTION_CHARACTERS:
        yield FieldViolation(
            "description", _too_long(record.description, MAX_DESCRIPTION_CHARACTERS)
        )
    for metric in record.metrics:
        for wrong in _metric_faults(metric):
            yield FieldViolation(f"metrics.{metric.name[:_SHOWN]}", wrong)
    if record.lineage is not None:
        yield from _lineage_faults(record.lineage, record.number)


def _mapping_faults(
    name: str, given: Mapping[str, str], most_characters: int
) -> Iterator[FieldViolation]:
    for key, value in given.items():
        if not _KEY.fullmatch(key):
            yield FieldViolation(name, _not_a_key(key))
        if len(value) > most_characters:
            yield FieldViolation(f"{name}.{key[:_SHOWN]}", _too_long(value, most_characters))
        if not _is_line(value):
            yield FieldViolation(f"{name}.{key[:_SHOWN]}", "it must be one line of plain text")


def _metric_faults(metric: Metric) -> Iterator[str]:
    if not _KEY.fullmatch(metric.name):
        yield _not_a_key(metric.name)
    if not math.isfinite(metric.value):
        yield f"{metric.value} is not a finite number"
    for noun, text in (("slice", metric.slice), ("data_name", metric.data_name)):
        if len(text) > MAX_NAME_CHARACTERS or not _is_line(text):
            yield f"its {noun} must be one line of up to {MAX_NAME_CHARACTERS} characters"
    if metric.data_digest and not _DIGEST.fullmatch(metric.data_digest):
        yield _not_a_digest(metric.data_digest)
    yield from _interval_faults(metric)
    if metric.rows < 0:
        yield f"{metric.rows} is not a number of rows"


def _interval_faults(metric: Metric) -> Iterator[str]:
    lower, upper = metric.lower, metric.upper
    if (lower is None) != (upper is None):
        yield "give both ends of its interval, lower and upper, or none"
    elif lower is not None and upper is not None and not -math.inf < lower <= upper < math.inf:
        yield f"its interval from {lower} to {upper} must have finite ends, the lower first"
    if not 0 <= metric.confidence < 1:
        yield f"its confidence is {metric.confidence}; it must be between 0 and 1, such as 0.95"


def _lineage_faults(lineage: Lineage, number: int) -> Iterator[FieldViolation]:
    parent = lineage.parent_version
    if parent and not 0 < parent < number:
        yield FieldViolation(
            "lineage.parent_version",
            f"{parent} is not an older version: version {number} was made of one before it, or of none",
        )
    for noun, text, most in (
        ("method", lineage.method, MAX_NAME_CHARACTERS),
        ("command", lineage.command, MAX_COMMAND_CHARACTERS),
        ("source_revision", lineage.source_revision, MAX_NAME_CHARACTERS),
        ("training_run", lineage.training_run, MAX_RUN_CHARACTERS),
    ):
        if len(text) > most:
            yield FieldViolation(f"lineage.{noun}", _too_long(text, most))
        if noun != "command" and not _is_line(text):
            yield FieldViolation(f"lineage.{noun}", "it must be one line of plain text")
    if lineage.data_digest and not _DIGEST.fullmatch(lineage.data_digest):
        yield FieldViolation("lineage.data_digest", _not_a_digest(lineage.data_digest))
    yield from _mapping_faults("lineage.facts", lineage.facts, MAX_FACT_CHARACTERS)


def _is_line(text: str) -> bool:
    """Return whether a text can be shown in a line of a terminal as it is."""
    return all(character.isprintable() for character in text)


def _not_a_key(key: str) -> str:
    return f"{key[:_SHOWN]!r} is not a valid name: it must match {_KEY.pattern}"


def _not_a_digest(text: str) -> str:
    return f"{text[:_SHOWN]!r} is not a SHA-256, 64 hex digits"


def _too_long(text: str, most: int) -> str:
    return f"{len(text)} characters; up to {most} are allowed"
