"""The log in Redis as it is stored, entry by entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.state.connection import Redis, redis_errors
from headrace.state.keys import Keys
from headrace.state.reader import CHANGE_FIELD
from headrace.state.stored_changes import StoredChange

READ_COUNT = 128


class RedisStoredLog:
    """The log of one namespace. All methods raise Unavailable where the server cannot be used."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def stored_after(self, revision: int) -> Sequence[StoredChange]:
        """The next entries after a revision, oldest first."""
        with redis_errors(self._redis):
            found: Any = await self._redis.xrange(
                self._keys.changes, f"({revision}-0", "+", count=READ_COUNT
            )
        return [_stored(*each) for each in found]

    async def stored_before(self, revision: int) -> Sequence[StoredChange]:
        """The last entries before a revision, newest first; the newest of all for revision 0."""
        last = f"({revision}-0" if revision else "+"
        with redis_errors(self._redis):
            found: Any = await self._redis.xrevrange(
                self._keys.changes, last, "-", count=READ_COUNT
            )
        return [_stored(*each) for each in found]


def _stored(entry_id: bytes, fields: dict[bytes, bytes]) -> StoredChange:
    return StoredChange(int(entry_id.split(b"-")[0]), fields.get(CHANGE_FIELD, b""))
