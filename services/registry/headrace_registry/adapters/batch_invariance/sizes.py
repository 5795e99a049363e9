"""Sizes of tensors as polynomials over free dimensions: the values exporters compute with Shape and Mul.

Symbols whose names start with '#' depend on the number of rows in a batch; BATCH is that number itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import TypeAlias

Monomial: TypeAlias = tuple[str, ...]

_MAX_TERMS = 64
"""A longer polynomial is replaced by a fresh symbol: nobody's shape is one, and products would explode."""
_MAX_DIVISION_STEPS = 32
_numbers = count()


class Polynomial:
    """A sum of products of symbols; never a plain number, those are ints."""

    __slots__ = ("terms",)

    def __init__(self, terms: dict[Monomial, int]) -> None:
        self.terms = terms

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(frozenset(self.terms.items()))

    def __repr__(self) -> str:
        return "+".join(_written(monomial, factor) for monomial, factor in self.terms.items())

    def symbols(self) -> set[str]:
        """The names of its symbols."""
        return {name for monomial in self.terms for name in monomial}


Size: TypeAlias = int | Polynomial


def _written(monomial: Monomial, factor: int) -> str:
    factors = [str(factor)] if factor != 1 or not monomial else []
    return "*".join([*factors, *(name.lstrip("#") for name in monomial)])


def symbol(name: str) -> Polynomial:
    """The size that a name stands for."""
    return Polynomial({(name,): 1})


def fresh(*operands: object) -> Polynomial:
    """An unknown size; it depends on the number of rows where one of these operands does."""
    mark = "#" if any(map(depends_on_batch, operands)) else ""
    return symbol(f"{mark}?{next(_numbers)}")


BATCH = symbol("#N")


def depends_on_batch(size: object) -> bool:
    """Return whether the size changes with the number of rows."""
    return isinstance(size, Polynomial) and any(name.startswith("#") for name in size.symbols())


def is_unknown(size: object) -> bool:
    """Return whether a fresh symbol is part of it."""
    return isinstance(size, Polynomial) and any("?" in name for name in size.symbols())


def _terms(size: Size) -> dict[Monomial, int]:
    if isinstance(size, Polynomial):
        return size.terms
    return {(): int(size)} if size else {}


def _sized(terms: dict[Monomial, int]) -> Size:
    terms = {monomial: factor for monomial, factor in terms.items() if factor}
    if len(terms) > _MAX_TERMS:
        return fresh(Polynomial(terms))
    return Polynomial(terms) if any(terms) else terms.get((), 0)


def add(a: Size, b: Size, sign: int = 1) -> Size:
    """a + sign * b."""
    terms = dict(_terms(a))
    for monomial, factor in _terms(b).items():
        terms[monomial] = terms.get(monomial, 0) + sign * factor
    return _sized(terms)


def multiply(a: Size, b: Size) -> Size:
    """a * b."""
    terms: dict[Monomial, int] = {}
    for left, left_factor in _terms(a).items():
        for right, right_factor in _terms(b).items():
            monomial = tuple(sorted(left + right))
            terms[monomial] = terms.get(monomial, 0) + left_factor * right_factor
    return _sized(terms)


def product(sizes: Iterable[Size]) -> Size:
    """All of them multiplied."""
    result: Size = 1
    for size in sizes:
        result = multiply(result, size)
    return result


def _leading(size: Size) -> Monomial:
    return max(_terms(size), key=lambda monomial: (len(monomial), monomial))


def quotient(a: Size, b: Size) -> Size | None:
    """a / b where b divides a for every value of the symbols, else None."""
    if not _terms(b):
        return None
    rest: Size = a
    result: Size = 0
    for _ in range(_MAX_DIVISION_STEPS):
        if not _terms(rest):
            return result
        term = _divided(rest, b)
        if term is None:
            return None
        result, rest = add(result, term), add(rest, multiply(term, b), -1)
    return None


def _divided(a: Size, b: Size) -> Size | None:
    """The leading term of a over that of b."""
    top, lead = _leading(a), _leading(b)
    left = list(top)
    for name in lead:
        if name not in left:
            return None
        left.remove(name)
    factor, remainder = divmod(_terms(a)[top], _terms(b)[lead])
    return None if remainder else _sized({tuple(left): factor})


def is_nonnegative(size: Size) -> bool:
    """Return whether it is 0 or more for all sizes; of symbols nothing but that they are sizes is known."""
    return all(factor >= 0 for factor in _terms(size).values())
