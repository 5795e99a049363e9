"""The features of a row: the parts of its inputs that attributions are told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headrace.lifecycle.explanation.refusals import invalid
from headrace.lifecycle.predictors.predictor import Array, Tensors

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Feature:
    """A part of a row: the elements of an input at `places` of its flattened row, or a token of a text."""

    name: str
    tensor: str
    places: tuple[int, ...]
    value: str = ""
    """What the row has there, for people; '' of several elements."""


def features_of(
    row: Tensors,
    names: Mapping[str, Sequence[str]] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Feature, ...]:
    """A feature for each element of a row: `x[3]`, or the name in `names`, by input.

    `groups` are features by their names: those elements are one feature, which is present or absent as a
    whole. Raises InvalidArgument (EXPLANATION_INVALID) for names that are not there.
    """
    single = tuple(each for name in row for each in _elements(name, row[name], (names or {})))
    return _grouped(single, groups) if groups else single


def _elements(tensor: str, array: Array, names: Mapping[str, Sequence[str]]) -> list[Feature]:
    flat = array.reshape(-1)
    given = names.get(tensor, ())
    if given and len(given) != len(flat):
        raise invalid(
            f"input {tensor!r} has {len(flat)} values a row, and {len(given)} names were given for it"
        )
    own = [tensor] if len(flat) == 1 else [f"{tensor}[{place}]" for place in range(len(flat))]
    return [
        Feature(name, tensor, (place,), shown(flat[place]))
        for place, name in enumerate(given or own)
    ]


def _grouped(
    single: tuple[Feature, ...], groups: Mapping[str, Sequence[str]]
) -> tuple[Feature, ...]:
    by_name = {each.name: each for each in single}
    made: list[Feature] = []
    taken: set[str] = set()
    for name, members in groups.items():
        unknown = [member for member in members if member not in by_name]
        if unknown or not members:
            raise invalid(
                f"group {name!r} has {unknown or 'nothing'}; there are {list(by_name)[:12]}"
            )
        if len({by_name[member].tensor for member in members}) > 1 or taken & set(members):
            raise invalid(f"group {name!r} has features of several inputs, or of another group")
        taken |= set(members)
        places = tuple(place for member in members for place in by_name[member].places)
        made.append(Feature(name, by_name[members[0]].tensor, places))
    return (*made, *(each for each in single if each.name not in taken))


def shown(value: object) -> str:
    """A value of a row for people."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        return value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
    if isinstance(value, np.floating | float):
        return f"{float(value):.4g}"
    return str(value)
