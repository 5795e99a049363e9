"""Sessions of browsers: a random cookie stands for the key that its holder logged in with.

They are in memory alone, and end with the process. A session says nothing of rights: the key is looked at
with each request, so a key that is revoked ends its sessions.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

MAX_SESSIONS = 1000
MAX_SESSIONS_A_SUBJECT = 20
"""The oldest ends where there would be more."""

SESSION_SECONDS = 12 * 3600


@dataclass(frozen=True, slots=True)
class Session:
    """What a cookie stands for. `ends_at` is in seconds by the clock of the sessions."""

    subject: str
    authorization: str
    ends_at: float


class Sessions:
    """The sessions that there are, the oldest first."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, subject: str, authorization: str) -> str:
        """Begin a session; the cookie that stands for it."""
        self._make_room(subject)
        cookie = secrets.token_urlsafe(32)
        ends_at = self._now() + SESSION_SECONDS
        self._sessions[_digest(cookie)] = Session(subject, authorization, ends_at)
        return cookie

    def authorization_of(self, cookie: str) -> str:
        """What the session's holder logged in with; '' where there is no such session."""
        session = self._sessions.get(_digest(cookie))
        if session is None or session.ends_at <= self._now():
            return ""
        return session.authorization

    def end(self, cookie: str) -> None:
        """End a session, if there is one."""
        self._sessions.pop(_digest(cookie), None)

    def _make_room(self, subject: str) -> None:
        now = self._now()
        left = {key: each for key, each in self._sessions.items() if each.ends_at > now}
        own = [key for key, each in left.items() if each.subject == subject]
        oldest = [*own[: max(0, len(own) - MAX_SESSIONS_A_SUBJECT + 1)]]
        oldest += [*left][: max(0, len(left) - MAX_SESSIONS + 1)]
        for key in oldest:
            left.pop(key, None)
        self._sessions = left


def _digest(cookie: str) -> str:
    """The key of a session: what is compared says nothing of what is kept."""
    return hashlib.sha256(cookie.encode(errors="replace")).hexdigest()
