"""The nouns of gates: what is demanded of a version's metrics before callers may get it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GateComparison:
    """A metric in which a version must not be worse than another by more than a margin.

    `metric` may have a slice, as `accuracy{region=eu}`. `than` is an alias, '' the route's stable version.
    """

    metric: str
    than: str = ""
    margin: float = 0.0
    """In the metric's own unit, 0 or more."""
    smaller_is_better: bool = False


@dataclass(frozen=True, slots=True)
class GateRecord:
    """Conditions of metrics, all of which must hold, and where they are asked for."""

    require: tuple[str, ...] = ()
    """Each as `accuracy >= 0.95`, in the grammar of filters."""
    no_worse_than: tuple[GateComparison, ...] = ()
    data_digest: str = ""
    """Only metrics of these data count; '': of each metric the newest."""
    aliases: tuple[str, ...] = ()
    """The aliases that are guarded, none: all; the route is always."""

    @property
    def is_open(self) -> bool:
        """Return whether nothing is demanded."""
        return not (self.require or self.no_worse_than)

    def guards(self, alias: str) -> bool:
        """Return whether an alias may only name what passes."""
        return not self.aliases or alias in self.aliases
