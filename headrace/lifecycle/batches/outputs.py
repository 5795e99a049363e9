"""The forms of outputs, by the output's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from headrace.errors import InvalidArgument
from headrace.lifecycle.batches.answers import Answered
from headrace.lifecycle.batches.parquet_outputs import FolderOutput, ParquetOutput
from headrace.lifecycle.batches.text_outputs import CsvOutput, JsonLinesOutput


class OutputForm(Protocol):
    """Writes answered rows."""

    def write(self, path: Path, part: Answered) -> None:
        """Write a part, from which `gather` makes the output."""

    def gather(self, parts: Sequence[Path], path: Path) -> None:
        """Write the output: all parts in order. The same parts give the same bytes."""


_FORMS: Mapping[str, Callable[[], OutputForm]] = {
    ".csv": CsvOutput,
    ".jsonl": JsonLinesOutput,
    ".ndjson": JsonLinesOutput,
    ".parquet": ParquetOutput,
    ".pq": ParquetOutput,
    "": FolderOutput,
}


def output_form(path: Path) -> OutputForm:
    """How an output is written. Raises InvalidArgument (BATCH_INVALID)."""
    form = _FORMS.get(form_name(path))
    if form is None:
        forms = ", ".join(filter(None, _FORMS))
        raise InvalidArgument(
            "BATCH_INVALID", f"{path} is neither one of {forms} nor a folder, which has no ending"
        )
    return form()


def form_name(path: Path) -> str:
    """The ending that says the form; '' is a folder."""
    return path.suffix.lower()
