"""Searches versions for which a filter holds, in steps: others get their turns on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from headrace.filters import Expression, check, comparisons, holds
from headrace.state.catalog import Catalog
from headrace_registry.domain.pages import Page, PageRequest, page_size
from headrace_registry.domain.resources.models import find_model
from headrace_registry.domain.searches.search_order import (
    Place,
    SearchOrder,
    ordering,
    place_of,
    token_of,
)
from headrace_registry.domain.searches.version_fields import KNOWN, SearchedVersion, kind_of

_COMPARED_AT_ONCE = 256
"""Comparisons that are made before others get their turn, of 32 versions at most: 2 ms."""
_ARRANGED_AT_ONCE = 512
"""Places that are put in order at once: 2 ms. Of more, the first that a page takes are kept."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched: of one model, or of all for ''. Its token is of a search with the same text."""

    model: str
    expression: Expression
    order: SearchOrder
    text: str
    page: PageRequest


def check_search(search: Search) -> None:
    """Pass if the filter makes sense for versions. Raises InvalidArgument (FILTER_INVALID)."""
    check(search.expression, kind_of, KNOWN)


async def find_versions(
    catalog: Catalog, search: Search, is_seen: Callable[[str], bool] | None, now: float
) -> Page[SearchedVersion]:
    """A page of the versions for which the filter holds, of models that are seen.

    A token says the place of the last version, not how many there were: what comes and goes meanwhile
    moves nothing else. Raises NotFound for the model, InvalidArgument (PAGE_SIZE_INVALID,
    PAGE_TOKEN_INVALID, FILTER_INVALID).
    """
    check_search(search)
    size = page_size(search.page)
    after = place_of(search.page.token, search.text, search.order) if search.page.token else None
    places = await _matching(catalog, search, is_seen, now, after, size + 1)
    chosen = search.order.arranged(places)[: size + 1]
    found = tuple(_searched(catalog, place, now) for place in chosen[:size])
    token = token_of(chosen[size - 1], search.text) if len(chosen) > size else ""
    return Page(found, token)


async def _matching(
    catalog: Catalog,
    search: Search,
    is_seen: Callable[[str], bool] | None,
    now: float,
    after: Place | None,
    most: int,
) -> list[Place]:
    """The places behind one of the versions that match; where nothing else orders them, the first ones."""
    order, found = search.order, list[Place]()
    at_once = max(1, min(32, _COMPARED_AT_ONCE // (1 + len([*comparisons(search.expression)]))))
    for looked, (model, number) in enumerate(_keys(catalog, search.model, is_seen), 1):
        searched = SearchedVersion(catalog, catalog.models[model], number, now)
        if place := _place(searched, search, after):
            found.append(place)
        if order.field is None and len(found) == most:
            break
        if len(found) >= most + _ARRANGED_AT_ONCE:
            found = order.arranged(found)[:most]
        if not looked % at_once:
            await asyncio.sleep(0)
    return found


def place_in(search: Search, searched: SearchedVersion) -> Place:
    """Where a version stands in the order of a search."""
    field = search.order.field
    value = None if field is None else ordering(searched.value(field))
    return Place(value, searched.model.name, searched.number)


def _place(searched: SearchedVersion, search: Search, after: Place | None) -> Place | None:
    """The place of a version that is behind another and matches, or None."""
    place = place_in(search, searched)
    if after is not None and search.order.compare(place, after) <= 0:
        return None
    return place if holds(search.expression, searched.value, kind_of) else None


def _keys(
    catalog: Catalog, model: str, is_seen: Callable[[str], bool] | None
) -> Iterator[tuple[str, int]]:
    """The versions by model, newest first."""
    if model:
        find_model(catalog, model)
    for name in [model] if model else catalog.model_names():
        if is_seen is None or is_seen(name):
            for number in reversed(catalog.numbers_of(name)):
                yield name, number


def _searched(catalog: Catalog, place: Place, now: float) -> SearchedVersion:
    return SearchedVersion(catalog, catalog.models[place.model], place.number, now)
