"""Differences of models as the log of changes keeps them: what each change set, without what it left alone.

A model may have a thousand aliases, and a change moves one of them. The values are absolute, so applying a
change to a model that has it already, or a later one, and then all later ones comes to the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from msgspec import UNSET, UnsetType

from headrace.state.gate_records import GateRecord
from headrace.state.records import AliasRecord, ModelRecord
from headrace.state.route_records import RouteRecord
from headrace.state.unknown_fields import unknown_fields, with_unknown_fields


@dataclass(frozen=True, slots=True)
class ModelDifference:
    """Fields of a model as a change left them, or as they were before; UNSET: it left them alone.

    With its name it is the whole model, as entries of registries up to 0.1 always are, and a field that is
    not there has its default. An alias that is None is not there.
    """

    name: str | UnsetType = UNSET
    created_at: float | UnsetType = UNSET
    description: str | UnsetType = UNSET
    labels: Mapping[str, str] | UnsetType = UNSET
    keep_latest: int | UnsetType = UNSET
    last_number: int | UnsetType = UNSET
    aliases: Mapping[str, AliasRecord | None] | UnsetType = UNSET
    route: RouteRecord | UnsetType | None = UNSET
    revision: int | UnsetType = UNSET
    pinned: bool | UnsetType = UNSET
    protected: bool | UnsetType = UNSET
    gate: GateRecord | UnsetType | None = UNSET

    @property
    def whole(self) -> bool:
        """Return whether it needs no model to be applied to."""
        return self.name is not UNSET

    def applied(self, model: ModelRecord | None) -> ModelRecord | None:
        """The model with these fields; None where a difference finds no model."""
        given = {name: value for name in _FIELDS if (value := getattr(self, name)) is not UNSET}
        unknown = unknown_fields(self)
        if self.whole:
            return with_unknown_fields(ModelRecord(**given), unknown)
        if model is None:
            return None
        if "aliases" in given:
            aliases = {**model.aliases, **given["aliases"]}
            given["aliases"] = {name: alias for name, alias in aliases.items() if alias is not None}
        return with_unknown_fields(replace(model, **given), {**unknown_fields(model), **unknown})


def difference(
    model: ModelRecord | None, other: ModelRecord | None, *, own: bool = False
) -> ModelDifference | None:
    """Return what a model has that another has not; with `own` also what it is itself, its name apart."""
    if model is None:
        return None
    if other is None:
        held = ((name, getattr(model, name), default) for name, default in _FIELDS.items())
        whole = ModelDifference(**{name: one for name, one, default in held if one != default})
        return with_unknown_fields(whole, unknown_fields(model))
    given = {name: getattr(model, name) for name in _FIELDS if own and name in _OWN}
    for name in _FIELDS:
        if getattr(model, name) != getattr(other, name):
            given[name] = getattr(model, name)
    if "aliases" in given:
        given["aliases"] = _moved(model.aliases, other.aliases)
    unknown, others = unknown_fields(model), unknown_fields(other)
    moved = {name: one for name, one in unknown.items() if others.get(name, UNSET) != one}
    return with_unknown_fields(ModelDifference(**given), moved)


def _moved(
    aliases: Mapping[str, AliasRecord], other: Mapping[str, AliasRecord]
) -> dict[str, AliasRecord | None]:
    moved: dict[str, AliasRecord | None] = {
        name: alias for name, alias in aliases.items() if other.get(name) != alias
    }
    return moved | {name: None for name in other if name not in aliases}


def _defaults() -> dict[str, Any]:
    blank = ModelRecord("", 0.0)
    required = {"name": UNSET, "created_at": UNSET}
    return {each.name: getattr(blank, each.name) for each in dataclasses.fields(blank)} | required


_FIELDS = _defaults()
"""The fields of a model with their defaults, UNSET where they have none."""
_OWN = _FIELDS.keys() - {"name", "aliases", "route"}
"""What a change of the model itself always says, so that it can be told without the model before it."""
