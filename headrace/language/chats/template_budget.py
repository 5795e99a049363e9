"""Counts what rendering a template costs, and ends it at a limit."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextvars import ContextVar
from typing import Any, TypeVar

Value = TypeVar("Value")

_STEPS_BETWEEN_LOOKS = 16
"""Looking at the clock takes as long as some steps."""
_MOST_BITS = 4096
"""Of an integer."""


class TemplateTooCostly(Exception):
    """A template needs more time or memory than it may."""


class Budget:
    """A budget of one rendering: the steps (loops, calls, filters), text that is made, seconds of CPU."""

    def __init__(self, steps: int, characters: int, seconds: float) -> None:
        self._steps = steps
        self._characters = characters
        self._until = time.thread_time() + seconds

    def step(self) -> None:
        """Count a step."""
        self._steps -= 1
        if self._steps < 0:
            raise TemplateTooCostly("it takes too many steps")
        if self._steps % _STEPS_BETWEEN_LOOKS == 0 and time.thread_time() > self._until:
            raise TemplateTooCostly("it takes too much time")

    def charge(self, characters: int) -> None:
        """Count characters, or elements, that are made."""
        self._characters -= characters
        if self._characters < 0:
            raise TemplateTooCostly("it makes too much text")

    def hold(self, value: Value) -> Value:
        """Count all of a value that was made."""
        if isinstance(value, str):
            self.charge(len(value))
        elif isinstance(value, list | tuple | dict | set):
            self.charge(self.weigh(value))
        return value

    def weigh(self, value: Any) -> int:
        """Return the elements and characters of a value, or more than what is left."""
        return weight(value, self._characters + 1)

    def join(self, parts: Iterable[str]) -> str:
        """Join texts, each counted before."""
        kept = []
        for part in parts:
            self.charge(len(part))
            kept.append(part)
        return "".join(kept)

    def product(self, left: Any, right: Any) -> None:
        """Count what a multiplication makes."""
        for one, other in ((left, right), (right, left)):
            if isinstance(one, int) and isinstance(other, str | list | tuple):
                self.charge(max(0, one) * self.weigh(other))
        if isinstance(left, int) and isinstance(right, int):
            _bits(left.bit_length() + right.bit_length())

    def power(self, left: Any, right: Any) -> None:
        """Refuse integers of thousands of digits."""
        if isinstance(left, int) and isinstance(right, int):
            _bits(left.bit_length() * max(0, right))


BUDGET: ContextVar[Budget] = ContextVar("budget")
"""Of the template that this thread renders."""


class Counted:
    """Elements that a loop goes through, each counted as a step."""

    def __init__(self, values: Any, budget: Budget) -> None:
        self._values = values
        self._budget = budget

    def __iter__(self) -> Iterator[Any]:
        for value in self._values:
            self._budget.step()
            yield value


class CountedSized(Counted):
    """The same of what has a length, which loops ask for."""

    def __len__(self) -> int:
        return len(self._values)


def counted(values: Any, budget: Budget) -> Counted:
    """Return the values such that going through them is counted."""
    return (CountedSized if isinstance(values, Sized) else Counted)(values, budget)


def weight(value: Any, most: int) -> int:
    """Count elements and characters of a value as if nothing in it were shared; `most` where it has more.

    A list that holds a list twice, which holds another twice, is small in memory and endless as text.
    """
    total, waiting = 0, [value]
    while waiting and total < most:
        one = waiting.pop()
        total += 1
        if isinstance(one, str):
            total += len(one)
        elif isinstance(one, Mapping):
            total += len(one)
            waiting.extend(one.keys())
            waiting.extend(one.values())
        elif isinstance(one, list | tuple | set | frozenset):
            total += len(one)
            waiting.extend(one)
        elif isinstance(one, NeverHeld):
            raise TemplateTooCostly("it keeps a namespace within another value")
    return min(total, most)


class NeverHeld:
    """A value that must not be within another, since it may change after that was counted."""


def _bits(bits: int) -> None:
    if bits > _MOST_BITS:
        raise TemplateTooCostly("it makes too large a number")
