"""The verdict of a gate on a version, with a line for each rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """How a version stands to one rule."""

    rule: str
    """As it was written."""
    held: bool
    value: str
    """What was measured, with its interval and data; '' where nothing was."""
    wanted: str
    """What the value has to be."""
    why: str = ""
    """Why the rule does not hold, or cannot be told; '' where it holds."""

    def __str__(self) -> str:
        if self.held:
            return f"{self.rule}: holds" + (f" ({self.value})" if self.value else "")
        return f"{self.rule}: {self.why}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of each rule of a gate; without rules every version passes."""

    results: tuple[Result, ...] = ()

    @property
    def passed(self) -> bool:
        """Return whether all rules hold."""
        return all(result.held for result in self.results)

    @property
    def failed(self) -> tuple[Result, ...]:
        """The rules that do not hold."""
        return tuple(result for result in self.results if not result.held)

    def lines(self) -> Iterator[str]:
        """A line for each rule."""
        yield from map(str, self.results)
