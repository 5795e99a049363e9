"""The order of found versions, and the tokens that say where a page ended."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from functools import cmp_to_key
from typing import TypeAlias

from headrace import errors
from headrace.filters import Field, Found, Kind, parse_field
from headrace_registry.domain.searches.version_fields import KNOWN, kind_of

ORDER_INVALID = "ORDER_INVALID"
Value: TypeAlias = float | bool | str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a version stands: the value that orders it, its model, its number."""

    value: Value
    model: str
    number: int


@dataclass(frozen=True, slots=True)
class SearchOrder:
    """By a field, or by none: then, and in equal rank, by model, newest first. None comes last."""

    field: Field | None = None
    descending: bool = False

    def takes(self, value: object) -> bool:
        """Return whether a value can be one that orders."""
        if value is None or self.field is None:
            return value is None
        return isinstance(value, str if kind_of(self.field) is Kind.TEXT else float | int)

    def compare(self, one: Place, other: Place) -> int:
        """Below 0 where one comes before the other, 0 where they are the same."""
        if (one.value is None) != (other.value is None):
            return 1 if one.value is None else -1
        if one.value is not None and other.value is not None and one.value != other.value:
            is_less = one.value < other.value  # type: ignore[operator]  # both are of the field's kind
            return -1 if is_less != self.descending else 1
        ours, theirs = (one.model, -one.number), (other.model, -other.number)
        return (ours > theirs) - (ours < theirs)

    def arranged(self, places: list[Place]) -> list[Place]:
        """The places in this order."""
        return sorted(places, key=cmp_to_key(self.compare))


def parse_order(text: str) -> SearchOrder:
    """The order that `FIELD`, `FIELD asc` or `FIELD desc` is. Raises InvalidArgument (ORDER_INVALID)."""
    words = text.strip()
    if not words:
        return SearchOrder()
    name, _, direction = words.rpartition(" ")
    if direction.lower() not in ("asc", "desc") or not name:
        name, direction = words, "asc"
    try:
        field = parse_field(name.strip(), "order_by")
    except errors.InvalidArgument as error:
        raise _invalid(error.message) from None
    kind = kind_of(field)
    if kind is None:
        raise _invalid(f"there is no field {name!r}; there are {KNOWN}")
    if kind is Kind.TEXTS:
        raise _invalid(f"{name} is {kind.value}, which have no order")
    return SearchOrder(field, direction.lower() == "desc")


def _invalid(why: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        ORDER_INVALID,
        f"order_by: {why}; give one field, and `desc` where large ones are to come first",
        violations=(errors.FieldViolation("order_by", why),),
    )


def token_of(place: Place, asked: str) -> str:
    """The token of the page behind a place, of a search with this text."""
    content = [_mark(asked), place.value, place.model, place.number]
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def place_of(token: str, asked: str, order: SearchOrder) -> Place:
    """The place behind which a page begins. Raises InvalidArgument (PAGE_TOKEN_INVALID)."""
    try:
        mark, value, model, number = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        mark = value = model = number = None
    is_place = isinstance(model, str) and isinstance(number, int)
    if mark != _mark(asked) or not is_place or not order.takes(value):
        raise errors.InvalidArgument(
            "PAGE_TOKEN_INVALID",
            "page_token is not one that this search gave: start again without it",
        )
    return Place(value, model, number)


def ordering(value: Found) -> Value:
    """The value of a field as it orders versions."""
    return None if isinstance(value, tuple) else value


def _mark(asked: str) -> str:
    return hashlib.sha256(asked.encode()).hexdigest()[:16]
