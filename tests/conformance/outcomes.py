"""What became of a case, and whether two answers are the same, bit for bit."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from headrace.datatypes import NUMPY_DTYPES
from headrace.state.records import Signature
from headrace_inference.domain.scheduling.requests import Array
from tests.conformance.bare import Examined, Refusal

CLOSE = 1e-4
"""Of the largest value: another number of rows takes other kernels, which add in another order."""

LEGITIMATE = "DATATYPE_UNSUPPORTED"
"""The one reason for which a model that ONNX Runtime runs may be refused: its values cannot travel."""


class Wire(enum.StrEnum):
    """A way to call a model; the last two are gRPC with raw contents, on a version that batches."""

    GRPC_RAW = "grpc raw"
    GRPC_TYPED = "grpc typed"
    HTTP_BINARY = "http binary"
    HTTP_JSON = "http json"
    ALONE = "batching, alone"
    TOGETHER = "batching, together"


class Outcome(enum.StrEnum):
    """What became of a case on a wire, the worst last."""

    SAME = "same"
    CLOSE = "close"
    """Only for requests that shared a run: the same but for the last bits of floating-point numbers."""
    RANDOM = "random"
    """The model is random: the answer has the reference's datatypes and shapes."""
    NOT_CARRIED = "not carried"
    """The wire has no form for one of the datatypes, by the protocol."""
    DIFFERENT = "different"
    FAILED = "failed"


WRONG = (Outcome.DIFFERENT, Outcome.FAILED)


@dataclass(frozen=True, slots=True)
class Called:
    """The outcome of a case on one wire; `detail` says more where it is not the same."""

    outcome: Outcome
    detail: str = ""


@dataclass(slots=True)
class Result:
    """A case, and what became of it; one that is refused is not called."""

    examined: Examined
    refusal: Refusal | None = None
    called: dict[Wire, Called] = field(default_factory=dict)

    def faults(self) -> list[str]:
        """What is wrong, one line each: what bare ONNX Runtime runs must be served the same."""
        examined = self.examined
        if not examined.answers:
            taken = not examined.opens and examined.refusal is None
            return [f"taken, but cannot be opened: {examined.failure}"] if taken else []
        if self.refusal is not None:
            checked = examined.refusal.reason if examined.refusal else ""
            if self.refusal.reason == LEGITIMATE == checked:
                return []
            return [f"not served: {self.refusal.reason}: {self.refusal.message}"]
        return [
            f"{wire}: {called.outcome}: {called.detail}"
            for wire, called in self.called.items()
            if called.outcome in WRONG
        ]


def compare(
    signature: Signature, expected: Sequence[Array], given: Sequence[Array], *, exact_nan: bool
) -> str:
    """How answers differ, or ''. Without `exact_nan` all numbers that are none count as one."""
    for spec, wanted, got in zip(signature.outputs, expected, given, strict=True):
        difference = _difference(wanted, got, exact_nan=exact_nan)
        if difference:
            return f"output '{spec.name}': {difference}"
    return ""


def compare_forms(signature: Signature, expected: Sequence[Array], given: Sequence[Array]) -> str:
    """How the datatypes and shapes of answers differ, or ''."""
    for spec, wanted, got in zip(signature.outputs, expected, given, strict=True):
        if wanted.shape != got.shape or NUMPY_DTYPES[spec.datatype] != got.dtype:
            return (
                f"output '{spec.name}': {got.dtype} {got.shape} for {wanted.dtype} {wanted.shape}"
            )
    return ""


def are_close(expected: Sequence[Array], given: Sequence[Array]) -> bool:
    """Whether answers that differ do so by rounding only."""
    return all(map(_is_close, expected, given))


def _is_close(wanted: Array, got: Array) -> bool:
    if wanted.dtype.kind != "f" or wanted.shape != got.shape:
        return not _difference(wanted, got, exact_nan=True)
    exact, rounded = wanted.astype(np.float64), got.astype(np.float64)
    largest = np.abs(exact[np.isfinite(exact)]).max(initial=0.0)
    return np.allclose(rounded, exact, CLOSE, CLOSE * float(largest), equal_nan=True)


def _difference(wanted: Array, got: Array, *, exact_nan: bool) -> str:
    if wanted.shape != got.shape:
        return f"shape {list(got.shape)} for {list(wanted.shape)}"
    if wanted.dtype != got.dtype:
        return f"dtype {got.dtype} for {wanted.dtype}"
    if wanted.dtype.kind == "O":
        texts = [text.encode() for text in wanted.ravel()]
        return "" if texts == got.ravel().tolist() else "other strings"
    if not exact_nan and wanted.dtype.kind == "f":
        wanted, got = _one_nan(wanted), _one_nan(got)
    return "" if wanted.tobytes() == got.tobytes() else _first_difference(wanted, got)


def _one_nan(array: Array) -> Array:
    return np.where(np.isnan(array), np.array(np.nan, array.dtype), array)


def _first_difference(wanted: Array, got: Array) -> str:
    bits = f"V{wanted.dtype.itemsize}"
    left, right = (np.frombuffer(array.tobytes(), bits).tolist() for array in (wanted, got))
    places = [place for place, pair in enumerate(zip(left, right, strict=True)) if len({*pair}) > 1]
    first = places[0]
    values = f"{got.ravel()[first]!r} for {wanted.ravel()[first]!r}"
    return f"{len(places)} of {wanted.size} elements, first at {first}: {values}"
