"""Figures, and the goals that they are held against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure, and what it is to be at most."""

    name: str
    value: float
    unit: str
    most: float | None = None

    @property
    def missed(self) -> bool:
        """Return whether it is over its goal."""
        return self.most is not None and self.value > self.most

    def __str__(self) -> str:
        """A line of the report."""
        goal = "" if self.most is None else f"   to reach: {self.most:g}"
        return (
            f"  {self.name:<52}{self.value:>10.2f} {self.unit:<4}{goal}{'   MISSED' * self.missed}"
        )
