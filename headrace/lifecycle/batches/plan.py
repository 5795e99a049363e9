"""The plan of a batch: all that decides what its output is. A run goes on only with the same plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from headrace.errors import FailedPrecondition, InvalidArgument
from headrace.images import Preprocess
from headrace.lifecycle.batches.texts import TextOptions

ROWS_PER_PART = 4096
"""The unit that is kept: so many rows are asked for again at most after a kill, for each part under way."""
FORMAT = 1
"""Of plans and journals on disk: others are not gone on with."""


class OnError(StrEnum):
    """The ends of a row that the version refuses."""

    RECORD = "record"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """The input by its digest, the version by its number and digest, and what is written of them."""

    source: str
    source_digest: str
    model: str
    version: int
    version_digest: str
    through: str
    """What answers: `replicas` or `sessions`; the last bits of floats may differ between them."""
    output_form: str
    inputs: Mapping[str, tuple[str, ...]]
    keep: tuple[str, ...]
    outputs: tuple[str, ...]
    rows_per_part: int = ROWS_PER_PART
    limit: int | None = None
    preprocess: Preprocess = Preprocess.AUTO
    on_error: OnError = OnError.RECORD
    texts: TextOptions | None = None
    """How texts are generated, by a version that does."""
    format: int = FORMAT

    def document(self) -> dict[str, object]:
        """The plan as JSON has it."""
        return dataclasses.asdict(self) | {
            "inputs": {name: list(columns) for name, columns in self.inputs.items()},
            "keep": list(self.keep),
            "outputs": list(self.outputs),
        }


_WORDS = {
    "source": "the input's name",
    "source_digest": "the input's bytes",
    "model": "the model",
    "version": "the version",
    "version_digest": "the version's files",
    "through": "what answers (replicas or sessions)",
    "output_form": "the output's form",
    "inputs": "which columns are which inputs",
    "keep": "the columns that are kept",
    "outputs": "the outputs",
    "rows_per_part": "the rows in a part",
    "limit": "the limit of rows",
    "preprocess": "how images become numbers",
    "on_error": "what becomes of refused rows",
    "texts": "how texts are generated",
    "format": "the format of journals",
}


def check_same(begun: Mapping[str, object], now: BatchPlan, journal: str) -> None:
    """Refuse to go on with another plan than was begun. Raises FailedPrecondition (BATCH_CHANGED)."""
    document = now.document()
    for key, value in document.items():
        before = begun.get(key)
        if before != value:
            raise FailedPrecondition(
                "BATCH_CHANGED",
                f"{journal} was begun otherwise: {_WORDS[key]} changed from {before!r:.100} to "
                f"{value!r:.100}; ask for what it was begun with, or --restart throws away what is done",
                facts={"changed": key},
            )


def check_plan(plan: BatchPlan) -> None:
    """Raises InvalidArgument (BATCH_INVALID) for what cannot be done."""
    if plan.rows_per_part < 1:
        raise InvalidArgument("BATCH_INVALID", "a part has one row at least")
    if plan.limit is not None and plan.limit < 1:
        raise InvalidArgument("BATCH_INVALID", "the limit is one row at least")
