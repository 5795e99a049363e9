"""What an optimisation found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from headrace.lifecycle.optimisation.candidates import Candidate
from headrace.lifecycle.optimisation.choice import Goal, Measured, best, fitting, front
from headrace.lifecycle.optimisation.judging import Allowed


@dataclass(frozen=True, slots=True)
class Optimisation:
    """All candidates of a version beside it, and the one that was chosen."""

    model: str
    version: int
    """The parent."""
    goal: Goal
    allowed: Allowed
    measured: tuple[Measured, ...]
    """The parent first, then candidates in the order in which they were made."""
    refused: tuple[Candidate, ...]
    """Those that could not be made, each with why."""
    chosen: Measured | None
    """None keeps the parent."""
    sample_name: str
    sample_digest: str
    judging_name: str
    judging_digest: str
    """Of the rows that candidates were judged by."""
    rows: int
    """Of the sample, those that candidates were judged by."""
    is_split: bool
    through_server: bool
    seconds: float
    metric: str = ""
    """By which they were judged; '' where the truth is not known."""
    not_tried: tuple[str, ...] = ()
    """Chains for which no time was left."""
    pushed: int = 0
    """The number of the new version; 0 where none was pushed."""

    @property
    def parent(self) -> Measured:
        """Return the parent's figures."""
        return self.measured[0]

    @property
    def front(self) -> tuple[Measured, ...]:
        """Return those that nothing beats in loss, size and latency at once."""
        return tuple(front(self.measured))

    @property
    def fitting(self) -> tuple[Measured, ...]:
        """Return the candidates within what may be lost."""
        return tuple(fitting(self.measured, self.allowed))

    @property
    def without_batching(self) -> Measured | None:
        """Return the candidate that would be chosen if batching was no matter, where it is another."""
        free = [replace(each, may_lose_batching=True) for each in self.measured]
        found = best(free, self.goal, self.allowed)
        if found is None or (self.chosen is not None and found.name == self.chosen.name):
            return None
        return found

    def verdict(self) -> str:
        """One sentence on what was chosen, or why nothing was."""
        of = f"version {self.version} of {self.model}"
        if self.chosen is not None:
            loss = f"{self.chosen.loss:.4f} lost of {self.allowed.loss:g} allowed"
            number = f" as version {self.pushed}" if self.pushed else ""
            return f"{self.chosen.name} takes the place of {of}{number}: {loss}"
        if not self.fitting:
            return (
                f"{of} is kept as it is: no candidate is within the loss of {self.allowed.loss:g}"
            )
        if self.without_batching is not None:
            return (
                f"{of} is kept as it is: {self.without_batching.name} is within the loss and better by "
                f"{self.goal}, but its requests cannot share runs: --lose-batching takes it"
            )
        return f"{of} is kept as it is: no candidate within the loss is better by {self.goal}"

    def document(self) -> dict[str, Any]:
        """All of it as JSON takes it."""
        marked = {id(each) for each in self.front}
        within = {id(each) for each in self.fitting}
        return {
            "model": self.model,
            "version": self.version,
            "goal": str(self.goal),
            "allowed": asdict(self.allowed),
            "data": {"name": self.sample_name, "digest": self.sample_digest, "rows": self.rows},
            "judged_by_other_rows": self.is_split,
            "metric": self.metric or None,
            "better_without_batching": self.without_batching.name
            if self.without_batching
            else None,
            "through_server": self.through_server,
            "seconds": self.seconds,
            "candidates": [
                {**_of(each), "front": id(each) in marked, "fits": id(each) in within}
                for each in self.measured
            ],
            "refused": [{"name": each.name, "why": each.refused} for each in self.refused],
            "not_tried": list(self.not_tried),
            "chosen": self.chosen.name if self.chosen else None,
            "pushed": self.pushed or None,
            "verdict": self.verdict(),
        }


def _of(each: Measured) -> dict[str, Any]:
    candidate = each.candidate
    return {
        "name": each.name,
        "model_bytes": each.model_bytes,
        "loss": each.loss,
        "cost": asdict(each.cost) if each.cost else None,
        "difference": asdict(candidate.difference)
        if candidate is not None and candidate.difference
        else None,
        "facts": dict(candidate.facts) if candidate else {},
        "notes": list(candidate.notes) if candidate else [],
    }


def rows_of_table(found: Optimisation) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """The headings and rows of the trade's table; headings that end in '>' are of numbers."""
    marked = {id(each) for each in found.front}
    within = {id(each) for each in found.fitting}
    headings = (
        *("method", "loss>", "95 %>", "metric>", "same class>", "largest>", "mean>"),
        *("size>", "p50 ms>", "rows/s>", "CPU s/1k rows>", "J/1k rows>", "memory>", "batched", ""),
    )
    rows = []
    for each in found.measured:
        marks = [
            "parent" if each.candidate is None else "",
            "front" if id(each) in marked else "",
            "too much lost" if each.candidate and id(each) not in within else "",
            "loses batching" if each.loses_batching else "",
            "chosen" if each is found.chosen else "",
        ]
        rows.append((*_cells(each, found.parent), ", ".join(filter(None, marks))))
    return headings, rows


def _cells(each: Measured, parent: Measured) -> tuple[str, ...]:
    difference = each.candidate.difference if each.candidate else None
    loss = difference.loss if difference else None
    return (
        each.name,
        f"{loss.value:.4f}" if loss else "",
        f"{loss.lower:.4f} to {loss.upper:.4f}" if loss else "",
        _metric(each, parent),
        f"{difference.agreement:.4f}" if difference and difference.agreement is not None else "",
        f"{difference.largest:.3g}" if difference else "",
        f"{difference.mean:.2g}" if difference else "",
        f"{_size(each.model_bytes)}{_ratio(each.model_bytes, parent.model_bytes)}",
        *_costs(each, parent),
    )


def _metric(each: Measured, parent: Measured) -> str:
    if each.candidate and each.candidate.difference:
        value = each.candidate.difference.loss.candidate
        return "" if value is None else f"{value:.4f}"
    return "" if parent.metric is None else f"{parent.metric:.4f}"


def _costs(each: Measured, parent: Measured) -> tuple[str, ...]:
    mine, theirs = each.cost, parent.cost
    if mine is None or theirs is None:
        return ("",) * 6
    cpu = "" if mine.cpu_seconds is None else f"{mine.cpu_seconds:.3g}"
    return (
        f"{mine.p50_ms:.3g}{_ratio(mine.p50_ms, theirs.p50_ms)}",
        f"{mine.rows_per_second:,.0f}{_ratio(mine.rows_per_second, theirs.rows_per_second)}",
        cpu + (_ratio(mine.cpu_seconds or 0, theirs.cpu_seconds or 0) if cpu else ""),
        "" if mine.joules is None else f"{mine.joules:.3g}",
        _size(mine.memory_bytes) if mine.memory_bytes else "",
        "" if mine.batches is None else "yes" if mine.batches else "no",
    )


def _ratio(mine: float, theirs: float) -> str:
    return f" ({mine / theirs:.2f}x)" if theirs and mine != theirs else ""


def _size(size_bytes: int) -> str:
    amount, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.4g} {unit}"
