"""Chooses among candidates: the front of the trade, and the best by a goal within what may be lost."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from headrace.lifecycle.optimisation.candidates import Candidate
from headrace.lifecycle.optimisation.judging import Allowed
from headrace.lifecycle.optimisation.measuring.costs import Cost

LEAST_GAIN = 0.02
"""A candidate has to be better than its parent by this share: less is chance, and no reason to change."""


class Goal(enum.StrEnum):
    """What an optimisation is for."""

    SIZE = "size"
    LATENCY = "latency"
    THROUGHPUT = "throughput"
    ENERGY = "energy"


@dataclass(frozen=True, slots=True)
class Measured:
    """A candidate, or the parent, with all that is known of it."""

    name: str
    model_bytes: int
    loss: float
    cost: Cost | None
    candidate: Candidate | None = None
    """None of the parent."""
    metric: float | None = None
    """Of the parent, where the truth is known."""
    loses_batching: bool = False
    """Whether it cannot share runs, and its parent does."""
    may_lose_batching: bool = True
    """Whether it may be chosen all the same."""

    def price(self, goal: Goal) -> float:
        """What it costs by a goal: less is better; infinite where it was not measured."""
        if goal is Goal.SIZE:
            return float(self.model_bytes)
        if self.cost is None:
            return float("inf")
        if goal is Goal.LATENCY:
            return self.cost.p50_ms
        if goal is Goal.THROUGHPUT:
            return 1.0 / self.cost.rows_per_second if self.cost.rows_per_second else float("inf")
        return float("inf") if self.cost.energy is None else self.cost.energy


def fitting(measured: Sequence[Measured], allowed: Allowed) -> list[Measured]:
    """Candidates within what may be lost."""
    return [
        each
        for each in measured
        if each.candidate is not None
        and each.candidate.difference is not None
        and allowed.fits(each.candidate.difference)
    ]


def front(measured: Sequence[Measured]) -> list[Measured]:
    """Those that none is better than in one of loss, size and latency without being worse in another."""
    return [each for each in measured if not any(_beats(other, each) for other in measured)]


def best(measured: Sequence[Measured], goal: Goal, allowed: Allowed) -> Measured | None:
    """The best candidate by a goal that fits, and is better than the parent; None keeps the parent."""
    parent = next(each for each in measured if each.candidate is None)
    within = [each for each in fitting(measured, allowed) if _keeps(each)]
    chosen = min(within, key=lambda each: (each.price(goal), each.loss), default=None)
    if chosen is None or not chosen.price(goal) < parent.price(goal) * (1 - LEAST_GAIN):
        return None
    return chosen


def _keeps(each: Measured) -> bool:
    return each.may_lose_batching or not each.loses_batching


def _beats(one: Measured, other: Measured) -> bool:
    mine, theirs = _trade(one), _trade(other)
    return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


def _trade(each: Measured) -> tuple[float, float, float]:
    return max(each.loss, 0.0), each.price(Goal.SIZE), each.price(Goal.LATENCY)
