"""What the registry tells the checking process, and what that answers: one JSON text each."""

from __future__ import annotations

from dataclasses import dataclass

from headrace import errors
from headrace_registry.adapters.unpack import UnpackLimits
from headrace_registry.domain.artifacts import Asked, Checked, Format

OUT_OF_MEMORY = 77
"""The child's exit status that says so; Python itself ends with 1, or by a signal."""

_REFUSALS: dict[str, type[errors.HeadraceError]] = {
    kind.__name__: kind
    for kind in (
        errors.InvalidArgument,
        errors.ResourceExhausted,
        errors.FailedPrecondition,
    )
}


@dataclass(frozen=True, slots=True)
class CheckTask:
    """Unpack `file` into `folder` and check it, within these limits."""

    file: str
    file_format: Format
    folder: str
    unpack: UnpackLimits
    memory_bytes: int
    cpu_seconds: int
    asked: Asked
    custom_operators: str | None
    """The folder of the libraries that may be named."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an artifact is not taken: an error of `headrace.errors`, by its class's name."""

    kind: str
    reason: str
    message: str
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found, or why the artifact is not taken."""

    checked: Checked | None = None
    refusal: Refusal | None = None


def refusal_of(error: errors.HeadraceError) -> Refusal:
    """An error, to be sent."""
    return Refusal(type(error).__name__, error.reason, error.message, error.facts)


def error_of(refusal: Refusal) -> errors.HeadraceError:
    """The error that was sent; a kind that no check raises becomes InvalidArgument."""
    error_type = _REFUSALS.get(refusal.kind, errors.InvalidArgument)
    return error_type(refusal.reason, refusal.message, facts=refusal.facts)
