"""Pages of a list, and the opaque tokens that lead from one to the next."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from headrace import errors

Item = TypeVar("Item")
Key = str | int
ListKey = TypeVar("ListKey", str, int)

DEFAULT_SIZE = 100
MAX_SIZE = 1000
MAX_BYTES = 3 << 20
"""Of one page's items: clients of gRPC take messages of 4 MiB, unless they are told otherwise."""

_AT_ONCE = 64
"""Items that are found before others get their turn: 4 ms of versions."""

_LOOKED_AT_ONCE = 1024
"""Keys that are looked at before others get their turn: a millisecond."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request for a page of a list: `size` 0 is the default, `token` '' the first page."""

    listing: str
    size: int = 0
    token: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items of a list in its order; `next_token` is '' on the last page."""

    items: tuple[Item, ...]
    next_token: str = ""


async def take_page(
    keys: Sequence[ListKey],
    find: Callable[[ListKey], Item],
    request: PageRequest,
    size_bytes: Callable[[Item], int] = lambda _: 0,
    is_shown: Callable[[ListKey], bool] | None = None,
) -> Page[Item]:
    """The page asked for of a list with these keys, which are in order.

    Only the page's items are found. What was added or deleted meanwhile shifts nothing. The page ends,
    after one item at least, before its items have more than MAX_BYTES together. Items that are not shown
    are passed over: pages are as full as without them, and no token names one.
    Raises InvalidArgument (PAGE_SIZE_INVALID, PAGE_TOKEN_INVALID).
    """
    size = page_size(request)
    start = bisect_right(keys, _decode(request, keys)) if request.token else 0
    shown = await _shown(keys, start, size + 1, is_shown)
    items: list[Item] = []
    for item in _within(map(find, shown[:size]), size_bytes):
        items.append(item)
        if not len(items) % _AT_ONCE:
            await asyncio.sleep(0)  # others wait on the loop, too
    has_more = len(items) < len(shown)
    return Page(tuple(items), _encode(request.listing, shown[len(items) - 1]) if has_more else "")


async def _shown(
    keys: Sequence[ListKey], start: int, most: int, is_shown: Callable[[ListKey], bool] | None
) -> Sequence[ListKey]:
    """The next keys that are shown, up to so many."""
    if is_shown is None:
        return keys[start : start + most]
    found: list[ListKey] = []
    for seen, index in enumerate(range(start, len(keys)), 1):
        if is_shown(keys[index]):
            found.append(keys[index])
            if len(found) == most:
                break
        if not seen % _LOOKED_AT_ONCE:
            await asyncio.sleep(0)
    return found


def _within(items: Iterable[Item], size_bytes: Callable[[Item], int]) -> Iterator[Item]:
    total = 0
    for item in items:
        before, total = total, total + size_bytes(item)
        if before and total > MAX_BYTES:
            return
        yield item


def page_size(request: PageRequest) -> int:
    """Return how many items a page has at most. Raises InvalidArgument (PAGE_SIZE_INVALID)."""
    if request.size < 0:
        raise errors.InvalidArgument(
            "PAGE_SIZE_INVALID",
            f"page_size is {request.size}; it must be 0 (for {DEFAULT_SIZE}) or up to {MAX_SIZE}",
        )
    return min(request.size or DEFAULT_SIZE, MAX_SIZE)


def _encode(listing: str, after: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps([listing, after]).encode()).decode()


def _decode(request: PageRequest, keys: Sequence[Key]) -> Key:
    try:
        listing, after = json.loads(base64.urlsafe_b64decode(request.token.encode()))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise _not_a_token(request) from None
    kind = type(keys[0]) if keys else type(after)
    if listing != request.listing or type(after) is not kind or kind not in (int, str):
        raise _not_a_token(request)
    return cast("Key", after)


def _not_a_token(request: PageRequest) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "PAGE_TOKEN_INVALID",
        f"page_token is not one that a list of {request.listing} gave: start again without it",
    )
