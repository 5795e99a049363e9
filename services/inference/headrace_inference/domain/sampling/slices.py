"""Tells requests apart by what a few headers and parameters say, within a bounded number of values."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from headrace_inference.domain.scheduling.requests import Asked, Parameter

MAX_VALUES = 20
"""Of one header or parameter; requests with any other value are of the slice `_other`."""

MAX_LENGTH = 64
"""Characters of a value that are looked at."""

OTHER = "_other"

Source = Literal["header", "parameter"]


@dataclass(slots=True, eq=False)
class Slicing:
    """A header or parameter by whose value requests are told apart: the first values that come."""

    source: Source
    name: str
    _slices: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def slice_of(self, asked: Asked) -> str | None:
        """The slice of a request; None where it says nothing."""
        text = self._text(asked)
        if not text:
            return None
        return self._slices.get(text) or self._new(text[:MAX_LENGTH])

    def _text(self, asked: Asked) -> str:
        if self.source == "parameter":
            return parameter_text(asked.header.parameters.get(self.name))
        for name, value in asked.metadata:
            if isinstance(value, str) and name.lower() == self.name:
                return value
        return ""

    def _new(self, text: str) -> str:
        with self._lock:
            if text not in self._slices and len(self._slices) >= MAX_VALUES:
                text = OTHER
            return self._slices.setdefault(text, f"{self.source} {self.name}={text}")


def parameter_text(value: Parameter) -> str:
    """The text of a parameter's value; '' where there is none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def slicings(setting: Sequence[str]) -> tuple[Slicing, ...]:
    """Read `header:x-region` and `parameter:tier`. Raises ValueError for anything else."""
    found = []
    for text in setting:
        source, _, name = text.partition(":")
        if source not in ("header", "parameter") or not name:
            raise ValueError(f"{text!r}: header:NAME or parameter:NAME is expected")
        found.append(
            Slicing("header", name.lower()) if source == "header" else Slicing("parameter", name)
        )
    return tuple(found)


def slices_of(asked: Asked | None, by: Sequence[Slicing]) -> tuple[str, ...]:
    """The slices that a request belongs to, beside that of all."""
    if asked is None or not by:
        return ()
    return tuple(one for slicing in by if (one := slicing.slice_of(asked)) is not None)
