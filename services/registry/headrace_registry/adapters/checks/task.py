"""The messages between the registry and its checking process: one JSON text each."""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass

from headrace import errors
from headrace_registry.adapters.checks.unpack import UnpackLimits
from headrace_registry.domain.pushes.artifacts import Checked, Format, RequestedOptions

OUT_OF_MEMORY = 77
"""The child's exit status that says so; Python itself ends with 1, or by a signal."""

_BY_TIME = ("MODEL_ENDLESS",)
_PHASE = "phase: "


class Phase(enum.StrEnum):
    """The child's present step, as it reports it on a line of its own; the values go into sentences."""

    STARTING = "it was starting"
    UNPACKING = "it was unpacked"
    OPENING = "ONNX Runtime opened it"
    RUNNING = "it ran on made-up inputs or a warm-up sample"
    COMPARING = "rows were run alone and together"

    def announce(self) -> None:
        """Say that it begins."""
        sys.stdout.write(f"\n{_PHASE}{self.name}\n")
        sys.stdout.flush()

    @classmethod
    def last(cls, output: bytes) -> Phase:
        """The one that was announced last; others may have written there, too."""
        lines = (line.decode(errors="replace") for line in reversed(output.splitlines()))
        names = (line.removeprefix(_PHASE) for line in lines if line.startswith(_PHASE))
        return next((cls[name] for name in names if name in cls.__members__), cls.STARTING)


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
    foreseen_bytes: int
    """The size that the next three are for; what unpacks to more is not checked with them."""
    memory_bytes: int
    address_bytes: int
    seconds: float
    asked: RequestedOptions
    custom_operators: str | None
    """The folder of the libraries that may be named."""
    trial_seconds: float = 0.0
    """How much processor time a loop may take when the graph is run."""
    unpack_only: bool = False
    """It was checked before."""
    compares_rows: bool = True
    """Whether rows are run alone and together, which shows whether they may share a run."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason that an artifact is refused: an error of `headrace.errors`, by its class's name."""

    kind: str
    reason: str
    message: str
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a check, or the reason that the artifact is refused."""

    checked: Checked | None = None
    refusal: Refusal | None = None
    rewritten: bool = False
    """Whether the unpacked files were changed."""
    unforeseen_bytes: int = 0
    """What it unpacks to, where that is more than was foreseen."""

    @property
    def is_lasting(self) -> bool:
        """Return whether the same bytes give the same report, whatever disk and memory hold."""
        if self.refusal is not None:
            by_its_bytes = self.refusal.kind == errors.InvalidArgument.__name__
            return by_its_bytes and self.refusal.reason not in _BY_TIME
        return self.checked is not None


def refusal_of(error: errors.HeadraceError) -> Refusal:
    """An error, to be sent."""
    return Refusal(type(error).__name__, error.reason, error.message, error.facts)


def error_of(refusal: Refusal) -> errors.HeadraceError:
    """The error that was sent; a kind that no check raises becomes InvalidArgument."""
    error_type = _REFUSALS.get(refusal.kind, errors.InvalidArgument)
    return error_type(refusal.reason, refusal.message, facts=refusal.facts)
