"""Adds up what a replay found: how often two versions agree, and where they do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from headrace.payload_log.comparison import Difference, Flip, Tolerance, differences, flips
from headrace.payload_log.records import Array, PayloadRecord, TensorPayload, array_of

SHOWN_VALUES = 8
MOST_KEPT = 1_000
"""Disagreements that are kept in full; more are counted."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A request that two versions answer in different ways."""

    request_id: str
    time: str
    inputs: Mapping[str, str]
    """Abbreviated."""
    before: Mapping[str, str]
    after: Mapping[str, str]
    outputs: tuple[str, ...]
    """Those that differ."""


@dataclass(slots=True)
class OutputFigures:
    """How often an output differs, and by how much at most."""

    output: str
    requests: int = 0
    rows: int = 0
    largest: float | None = None
    why: str = ""


@dataclass(slots=True)
class Replay:
    """What a replay found so far."""

    tolerance: Tolerance
    replayed: int = 0
    agreed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """Records that could not be replayed, by why."""
    errors: Counter[str] = field(default_factory=Counter)
    """Requests that were answered with an error now, by its reason."""
    outputs: dict[str, OutputFigures] = field(default_factory=dict)
    flips: Counter[Flip] = field(default_factory=Counter)
    disagreements: list[Disagreement] = field(default_factory=list)

    @property
    def agreeing_share(self) -> float | None:
        """Return the share of the replayed requests that agree; None where there are none."""
        return self.agreed / self.replayed if self.replayed else None

    def add(
        self, record: PayloadRecord, before: Mapping[str, Array], after: Mapping[str, Array]
    ) -> None:
        """Count a request with both answers."""
        self.replayed += 1
        found = list(differences(before, after, self.tolerance))
        self.flips.update(flips(before, after))
        if not found:
            self.agreed += 1
            return
        for each in found:
            self._add_output(each)
        if len(self.disagreements) < MOST_KEPT:
            self.disagreements.append(
                Disagreement(
                    record.request_id,
                    record.time,
                    {tensor.name: _short_data(tensor) for tensor in record.inputs},
                    {name: short(array) for name, array in before.items()},
                    {name: short(array) for name, array in after.items()},
                    tuple(each.output for each in found),
                )
            )

    def _add_output(self, found: Difference) -> None:
        figures = self.outputs.setdefault(found.output, OutputFigures(found.output))
        figures.requests += 1
        figures.rows += found.rows
        figures.why = found.why or figures.why
        if found.largest is not None:
            figures.largest = max(found.largest, figures.largest or 0.0)


def why_not(record: PayloadRecord, *, needs_outputs: bool) -> str:
    """Return why a record cannot be replayed; '' for one that can."""
    if record.prompt is not None or record.answers is not None:
        return "generations of text, which `headrace compare` compares"
    if any(name.startswith("input:") for name in record.masked):
        return "inputs masked"
    if not record.inputs or any(array_of(tensor) is None for tensor in record.inputs):
        return "inputs not in the log, or not whole"
    if not needs_outputs:
        return ""
    if record.error:
        return "answered with an error, so that there is nothing to compare with"
    if not record.outputs or any(array_of(tensor) is None for tensor in record.outputs):
        return "outputs not in the log, or not whole"
    return ""


def arrays_of(tensors: list[TensorPayload]) -> dict[str, Array]:
    """Tensors by name, those that are whole."""
    return dict(_named(tensors))


def _named(tensors: list[TensorPayload]) -> Iterator[tuple[str, Array]]:
    for tensor in tensors:
        array = array_of(tensor)
        if array is not None:
            yield tensor.name, array


def short(array: Array) -> str:
    """The first values of a tensor, as a text."""
    return _short(array.ravel()[: SHOWN_VALUES + 1].tolist(), array.size)


def _short_data(tensor: TensorPayload) -> str:
    data = tensor.data or []
    return _short(data[: SHOWN_VALUES + 1], len(data))


def _short(values: Sequence[object], count: int) -> str:
    shown = ", ".join(_shown(value) for value in values[:SHOWN_VALUES])
    return f"[{shown}{f', ... ({count} values)' if count > SHOWN_VALUES else ''}]"


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else f"{value[:40]}...")
    return f"{value:.6g}" if isinstance(value, float) else str(value)
