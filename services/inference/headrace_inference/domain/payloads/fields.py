"""The list of fields whose values may be logged. Nothing that it has not is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Place = Literal["input", "output"]

_KINDS = ("input", "output", "header", "parameter")
_ALONE = ("inputs", "outputs", "prompt", "answer")


@dataclass(frozen=True, slots=True)
class AllowedFields:
    """What a replica may log of requests, beside what it logs of all: times, sizes, errors."""

    whole: frozenset[str] = frozenset()
    """Of `inputs`, `outputs`, `prompt` and `answer`."""
    inputs: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()
    headers: frozenset[str] = field(default_factory=frozenset)
    """In lower case."""
    parameters: frozenset[str] = frozenset()

    def has(self, place: Place, name: str) -> bool:
        """Return whether a tensor's values may be logged."""
        if f"{place}s" in self.whole:
            return True
        return name in (self.inputs if place == "input" else self.outputs)

    @property
    def prompt(self) -> bool:
        """Return whether prompts of language models may be logged."""
        return "prompt" in self.whole or "inputs" in self.whole

    @property
    def answer(self) -> bool:
        """Return whether what they answer may be logged."""
        return "answer" in self.whole or "outputs" in self.whole


def allowed_fields(setting: Sequence[str]) -> AllowedFields:
    """Read `inputs`, `output:label`, `header:x-region`. Raises ValueError for anything else."""
    named: dict[str, set[str]] = {kind: set() for kind in _KINDS}
    whole = set()
    for text in setting:
        kind, colon, name = text.partition(":")
        if text in _ALONE:
            whole.add(text)
        elif kind in _KINDS and colon and name:
            named[kind].add(name.lower() if kind == "header" else name)
        else:
            raise ValueError(
                f"{text!r}: inputs, outputs, prompt, answer, input:NAME, output:NAME, header:NAME or "
                "parameter:NAME is expected"
            )
    return AllowedFields(
        frozenset(whole),
        frozenset(named["input"]),
        frozenset(named["output"]),
        frozenset(named["header"]),
        frozenset(named["parameter"]),
    )
