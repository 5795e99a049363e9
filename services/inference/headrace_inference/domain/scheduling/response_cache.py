"""Keeps those parts of a version's responses that repeat: they depend on shapes and routes alone."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TypeVar

from headrace.datatypes import Datatype

MAX_KEPT_RESPONSES = 1024

Shape = tuple[int, ...]
FrameKey = tuple[tuple[int, ...], str, tuple[Shape, ...]]
"""The places of the outputs, the route, and the outputs' shapes."""
RenderedKey = tuple[tuple[int, ...], str, tuple[tuple[Datatype, Shape, Hashable | None], ...]]
"""The same of rendered outputs, with the datatypes and windows that they were given."""

JsonKey = tuple[tuple[int, ...], str, tuple[Shape, ...], tuple[bool, ...]]
"""The places of the outputs, the route, the outputs' shapes, and which of them are binary data."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedCache(dict[Key, Value]):
    """A dictionary that starts over where it would grow beyond `most` entries."""

    __slots__ = ("_most",)

    def __init__(self, most: int = MAX_KEPT_RESPONSES) -> None:
        super().__init__()
        self._most = most

    def keep(self, key: Key, value: Value) -> None:
        """Remember a value; callers choose the keys, so there may be no end of them."""
        if len(self) >= self._most:
            self.clear()
        self[key] = value


@dataclass(frozen=True, slots=True)
class ResponseFrame:
    """The bytes that responses with outputs of the same shapes share."""

    head: bytes
    prefixes: tuple[bytes, ...]
    """The tag and the length before each output's bytes."""
    size: int
    """The bytes of such a response without its id; without the outputs where they are texts."""
    has_texts: bool


@dataclass(frozen=True, slots=True)
class JsonFrame:
    """What JSON responses with outputs of the same shapes share: the text around what differs.

    The id goes behind the first piece, and the outputs' values, where JSON says them, between the others.
    """

    pieces: tuple[bytes, ...]
    tail_bytes: int
    """The bytes of the outputs that are binary data."""
