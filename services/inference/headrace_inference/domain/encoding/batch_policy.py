"""Decides which of the texts that wait run together next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST_PADDING = 12
"""Texts of two lengths share a run where that pads them by so many tokens together.

A run costs as much as 20 to 30 tokens before its first one, for it reads all weights (a MiniLM on two
cores, 8 to 2,048 tokens a run); weights and arithmetic grow alike with a model. Half of that is the best
limit, simulated with texts of mixed lengths and 4 to 64 callers: what does not join now may find company
of its own length in the next run. At 16 callers it takes 7 % off.
"""


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
    """The bounds of a run, and how many instances are free to take a share of what waits."""

    tokens: int
    """Padding counted; a text that is longer than that runs alone."""
    texts: int
    free_instances: int = 1
    padding: int = 0
    """How many tokens of padding are worth a run; 0: texts of two lengths never share one."""


@dataclass(frozen=True, slots=True)
class Choice:
    """So many texts of each length run together, all padded to `length`."""

    length: int
    texts: dict[int, int]


def next_batch(heads: Iterable[Head], limits: Limits) -> Choice | None:
    """Choose the text whose turn it is, and those that wait and have its length.

    All texts of a neighbouring length join them where padding costs less than a run of their own would.
    Where nothing waits there is no choice.
    """
    waiting = sorted(heads, key=_length)
    first = min(waiting, default=None)
    if first is None:
        return None
    share = -(-first.texts // max(1, limits.free_instances))
    fitting = max(1, limits.tokens // first.length)
    choice = Choice(first.length, {first.length: min(first.texts, share, fitting, limits.texts)})
    if not limits.padding or limits.texts < 2:
        return choice
    place = waiting.index(first)
    choice = _with_longer(choice, waiting[place + 1 :], limits)
    return _with_shorter(choice, waiting[:place][::-1], limits)


def _length(head: Head) -> int:
    return head.length


def _with_longer(choice: Choice, longer: Sequence[Head], limits: Limits) -> Choice:
    """Pad what was chosen to the next longer texts, as long as that is worth it."""
    for head in longer:
        rows = sum(choice.texts.values())
        total = rows + head.texts
        is_worth_it = rows * (head.length - choice.length) <= limits.padding
        if not is_worth_it or not _fits(total, head.length, limits):
            break
        choice = Choice(head.length, choice.texts | {head.length: head.texts})
    return choice


def _with_shorter(choice: Choice, shorter: Sequence[Head], limits: Limits) -> Choice:
    """Pad the next shorter texts to what was chosen, as long as that is worth it."""
    for head in shorter:
        total = sum(choice.texts.values()) + head.texts
        is_worth_it = head.texts * (choice.length - head.length) <= limits.padding
        if not is_worth_it or not _fits(total, choice.length, limits):
            break
        choice = Choice(choice.length, choice.texts | {head.length: head.texts})
    return choice


def _fits(texts: int, length: int, limits: Limits) -> bool:
    return texts <= limits.texts and texts * length <= limits.tokens
