"""Searches of versions as messages: decode, search, encode."""

from __future__ import annotations

import asyncio

from headrace.filters import parse
from headrace.registry.v1 import annotation_service_pb2 as pb
from headrace.resource_names import parse_model
from headrace_registry.domain.pages import MAX_BYTES, Page, PageRequest
from headrace_registry.domain.searches.search import Search, place_in
from headrace_registry.domain.searches.search_order import parse_order, token_of
from headrace_registry.domain.searches.version_fields import SearchedVersion
from headrace_registry.wire.annotation_convert import annotations_to_proto
from headrace_registry.wire.convert import version_to_proto

_AT_ONCE = 64
"""Messages that are made before others get their turn: 4 ms of versions."""


def search_of(request: pb.SearchVersionsRequest) -> Search:
    """What is searched. Raises InvalidArgument (FILTER_INVALID, ORDER_INVALID)."""
    return Search(
        model=parse_model(request.parent) if request.parent else "",
        expression=parse(request.filter),
        order=parse_order(request.order_by),
        text="\n".join((request.parent, request.filter, request.order_by)),
        page=PageRequest("versions", request.page_size, request.page_token),
    )


async def found_to_proto(search: Search, page: Page[SearchedVersion]) -> pb.SearchVersionsResponse:
    """A page of found versions, which ends before it has more than MAX_BYTES, after one at least."""
    response = pb.SearchVersionsResponse(next_page_token=page.next_token)
    total = 0
    for taken, searched in enumerate(page.items):
        found = _found(searched)
        total += found.ByteSize()
        if taken and total > MAX_BYTES:
            last = place_in(search, page.items[taken - 1])
            response.next_page_token = token_of(last, search.text)
            break
        response.found.append(found)
        if not taken % _AT_ONCE:
            await asyncio.sleep(0)  # others wait on the loop, too
    return response


def _found(searched: SearchedVersion) -> pb.SearchVersionsResponse.Found:
    return pb.SearchVersionsResponse.Found(
        version=version_to_proto(searched.version),
        annotations=annotations_to_proto(searched.said),
        aliases=searched.aliases,
    )
