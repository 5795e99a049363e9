"""Tasks of the checking process, and its reports."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from headrace import errors
from headrace.service.child_tasks.messages import ChildError, error_from_child
from headrace_registry.adapters.checks.unpack import UnpackLimits
from headrace_registry.domain.pushes.artifacts import Checked, Format, RequestedOptions

OUT_OF_MEMORY = 77
"""The child's exit status that says so; Python itself ends with 1, or by a signal."""

_BY_TIME = ("MODEL_ENDLESS",)


class Phase(enum.StrEnum):
    """The child's present step, as it reports it by name; the values go into sentences."""

    STARTING = "it was starting"
    UNPACKING = "it was unpacked"
    OPENING = "ONNX Runtime opened it"
    RUNNING = "it ran on made-up inputs or a warm-up sample"
    READING = "it was tried on a text"
    COMPARING = "rows were run alone and together"


_REFUSALS = (errors.InvalidArgument, errors.ResourceExhausted, errors.FailedPrecondition)


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
class CheckReport:
    """The result of a check, or the reason that the artifact is refused."""

    checked: Checked | None = None
    refusal: ChildError | None = None
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


def error_of(refusal: ChildError) -> errors.HeadraceError:
    """The error that was sent; a kind that no check raises becomes InvalidArgument."""
    return error_from_child(refusal, _REFUSALS, errors.InvalidArgument)
