"""Decides which of the texts that wait run together next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Head:
    """The next of the texts that are padded to one length. Heads are in the order of their turns."""

    level: int
    """Of priority; the lowest number goes first."""
    turn: float
    """Its place within the level."""
    length: int
    """The tokens that each of them takes in a run, padding counted."""
    texts: int
    """How many of that length wait."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may share a run, and how many instances are free to take a share of what waits."""

    tokens: int
    """Padding counted; a text that is longer than that runs alone."""
    texts: int
    free_instances: int = 1


@dataclass(frozen=True, slots=True)
class Choice:
    """So many texts of one length run together."""

    length: int
    texts: int


def next_batch(heads: Iterable[Head], limits: Limits) -> Choice | None:
    """Choose the text whose turn it is, and with it those that wait and have its length.

    Other lengths wait for turns of their own: nobody is padded for the sake of others, so that a text's
    vector does not depend on whom it met. Where nothing waits there is no choice.
    """
    first = min(heads, default=None)
    if first is None:
        return None
    share = -(-first.texts // max(1, limits.free_instances))
    fitting = max(1, limits.tokens // first.length)
    return Choice(first.length, min(first.texts, share, fitting, limits.texts))
