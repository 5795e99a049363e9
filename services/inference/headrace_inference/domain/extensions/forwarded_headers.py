"""Headers that travel with a request as its parameters: those whose names a pattern matches."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable

_SECRET = frozenset(("authorization", "proxy-authorization", "cookie"))
_SECRET_PREFIX = "triton-grpc-protocol-"  # noqa: S105  # what such headers begin with


class HeaderPattern:
    """Matches whole names whatever their case; an empty pattern matches none.

    Headers that prove who calls are never forwarded, whatever the pattern: those that always do, and
    those that `keys` names.
    """

    def __init__(self, pattern: str = "", keys: Callable[[], Collection[str]] = tuple) -> None:
        self._pattern = re.compile(pattern, re.IGNORECASE) if pattern else None
        self._keys = keys

    @property
    def matches_any(self) -> bool:
        """Tell whether there are headers that it may match."""
        return self._pattern is not None

    def forwarded(self, headers: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
        """The headers to forward, by lower-case name; those of bytes never are."""
        if self._pattern is None:
            return {}
        return {
            name.lower(): value
            for name, value in headers
            if isinstance(value, str)
            and self._pattern.fullmatch(name)
            and not self._is_secret(name.lower())
        }

    def _is_secret(self, name: str) -> bool:
        return name in _SECRET or name.startswith(_SECRET_PREFIX) or name in self._keys()
