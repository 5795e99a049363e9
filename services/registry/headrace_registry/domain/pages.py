"""Pages of a list, and the opaque tokens that lead from one to the next."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from headrace import errors

Item = TypeVar("Item")
Key = str | int

DEFAULT_SIZE = 100
MAX_SIZE = 1000


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of which list: `size` 0 is the default, `token` '' the first page."""

    listing: str
    size: int = 0
    token: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items of a list in its order; `next_token` is '' on the last page."""

    items: tuple[Item, ...]
    next_token: str = ""


def take_page(
    items: Iterable[Item], key: Callable[[Item], Key], request: PageRequest
) -> Page[Item]:
    """The page asked for, in the order of `key`; what was added or deleted meanwhile shifts nothing.

    Raises InvalidArgument (PAGE_SIZE_INVALID, PAGE_TOKEN_INVALID).
    """
    size = _size(request)
    ordered = sorted(items, key=key)
    if request.token:
        after = _decode(request, ordered, key)
        ordered = [item for item in ordered if _comes_after(key(item), after)]
    page = tuple(ordered[:size])
    more = len(ordered) > size
    return Page(page, _encode(request.listing, key(page[-1])) if more else "")


def _size(request: PageRequest) -> int:
    if request.size < 0:
        raise errors.InvalidArgument(
            "PAGE_SIZE_INVALID",
            f"page_size is {request.size}; it must be 0 (for {DEFAULT_SIZE}) or up to {MAX_SIZE}",
        )
    return min(request.size or DEFAULT_SIZE, MAX_SIZE)


def _comes_after(key: Key, after: Key) -> bool:
    if isinstance(key, int) and isinstance(after, int):
        return key > after
    return str(key) > str(after)


def _encode(listing: str, after: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps([listing, after]).encode()).decode()


def _decode(request: PageRequest, items: list[Item], key: Callable[[Item], Key]) -> Key:
    try:
        listing, after = json.loads(base64.urlsafe_b64decode(request.token.encode()))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise _not_a_token(request) from None
    same_kind = isinstance(after, int if items and isinstance(key(items[0]), int) else (str, int))
    if listing != request.listing or isinstance(after, bool) or not same_kind:
        raise _not_a_token(request)
    return after


def _not_a_token(request: PageRequest) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "PAGE_TOKEN_INVALID",
        f"page_token is none that a list of {request.listing} gave: start again without it",
    )
