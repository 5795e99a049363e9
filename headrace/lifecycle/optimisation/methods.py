"""The ways to make a graph smaller or faster, and chains of them."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from headrace.errors import InvalidArgument


class Method(enum.StrEnum):
    """One step from a graph to another that answers nearly the same."""

    SIMPLIFY = "simplify"
    """Fold constants, fuse and drop nodes: answers stay as they are but for rounding."""
    PRUNE = "prune"
    """Remove neurons and channels; where no chain of layers allows it, set the smallest weights to 0."""
    PRUNE_WEIGHTS = "prune-weights"
    """Set the smallest weights to 0: smaller when compressed, not faster."""
    DYNAMIC_INT8 = "dynamic-int8"
    """Weights of 8 bits; activations are scaled by each request's own values."""
    STATIC_INT8 = "static-int8"
    """Weights and activations of 8 bits, by ranges that a sample gave."""
    INT4 = "int4"
    """Weights of matrix products of 4 bits, in blocks with a scale each."""
    FP16 = "fp16"
    """Weights and sums of 16 bits; inputs and outputs stay as they are."""


AUTO = "auto"
"""Stands for AUTO_CHAINS."""

Chain = tuple[Method, ...]

AUTO_CHAINS: Sequence[Chain] = (
    (Method.SIMPLIFY,),
    (Method.DYNAMIC_INT8,),
    (Method.STATIC_INT8,),
    (Method.FP16,),
    (Method.INT4,),
    (Method.PRUNE,),
    (Method.PRUNE, Method.STATIC_INT8),
    (Method.PRUNE, Method.DYNAMIC_INT8),
)
"""What `auto` tries, cheap ones first."""

_LAST = frozenset({Method.DYNAMIC_INT8, Method.STATIC_INT8, Method.INT4, Method.FP16})


def chain_name(chain: Chain) -> str:
    """As it is written: `prune+static-int8`."""
    return "+".join(chain)


def chains_of(names: Sequence[str]) -> list[Chain]:
    """The chains that are named, each once. Raises InvalidArgument (METHOD_INVALID)."""
    found = [chain for name in names for chain in (AUTO_CHAINS if name == AUTO else [_chain(name)])]
    return list(dict.fromkeys(found))


def _chain(name: str) -> Chain:
    steps = tuple(map(_method, name.split("+")))
    reduced = [step for step in steps if step in _LAST]
    if len(set(steps)) != len(steps) or len(reduced) > 1:
        raise InvalidArgument(
            "METHOD_INVALID",
            f"{name!r}: each step is taken once, and one of {', '.join(sorted(_LAST))} at most",
        )
    if reduced and steps[-1] not in _LAST:
        raise InvalidArgument(
            "METHOD_INVALID",
            f"{name!r}: {reduced[0]} comes last, for what is of fewer bits is not changed further",
        )
    return steps


def _method(name: str) -> Method:
    try:
        return Method(name)
    except ValueError:
        raise InvalidArgument(
            "METHOD_INVALID",
            f"{name!r} is no method; there are {', '.join(Method)}, chains such as "
            f"prune+static-int8, and {AUTO}",
        ) from None
