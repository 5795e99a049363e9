"""Verifies tokens that are not known, on one thread, each once however many calls bring it.

A signature takes 0.1 ms of the interpreter. The thread rests between two, so that a flood of bad tokens
holds up nobody whose token is known.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headrace.errors import HeadraceError, Internal, ResourceExhausted
from headrace.security.access import Access
from headrace.security.credentials import Credentials

logger = logging.getLogger(__name__)

MAX_WAITING = 1024
"""Tokens that wait to be verified."""

RESTS = 3
"""So many times as long as a verification took the thread rests after it."""

RETRY_SECONDS = 1.0

Tell = Callable[[HeadraceError | None], None]
"""Told, on the thread that verifies, why a token is refused; None: it is known from now on."""


class Verifications:
    """The tokens that wait. Any thread may ask; `running` has to be entered for anybody to be told."""

    def __init__(self, access: Access, max_waiting: int = MAX_WAITING) -> None:
        self._access = access
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        self._waiting: dict[Credentials, list[Tell]] = {}
        self._queue: queue.SimpleQueue[Credentials | None] = queue.SimpleQueue()

    def ask(self, credentials: Credentials, tell: Tell) -> None:
        """Have credentials verified. Raises ResourceExhausted (TOO_MANY_NEW_TOKENS)."""
        with self._lock:
            waiting = self._waiting.get(credentials)
            if waiting is not None:
                waiting.append(tell)
                return
            if len(self._waiting) >= self._max_waiting:
                raise too_many(self._max_waiting)
            self._waiting[credentials] = [tell]
        self._queue.put(credentials)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Verify while inside; on leaving, finish what waits."""
        thread = threading.Thread(target=self._run, name="verifications", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._queue.put(None)
            thread.join()

    def _run(self) -> None:
        while (credentials := self._queue.get()) is not None:
            began = time.monotonic()
            error = self._refusal(credentials)
            took = time.monotonic() - began
            with self._lock:
                waiting = self._waiting.pop(credentials)
            for tell in waiting:
                _tell(tell, error)
            time.sleep(RESTS * took)

    def _refusal(self, credentials: Credentials) -> HeadraceError | None:
        try:
            self._access.identify(credentials)
        except HeadraceError as error:
            error.forget_history()
            return error
        except Exception:
            logger.exception("a bug ended a verification")
            return Internal(
                "INTERNAL", "the service failed on its own account; its log has the details"
            )
        return None


def _tell(tell: Tell, error: HeadraceError | None) -> None:
    try:
        tell(error)
    except Exception:  # one call's trouble is not that of the others
        logger.exception("a bug kept a caller from being told whether its token is good")


def too_many(most: int) -> HeadraceError:
    """Refuse a token that would have to wait behind too many."""
    return ResourceExhausted(
        "TOO_MANY_NEW_TOKENS",
        f"{most} tokens that were not seen here before wait to be verified; try again, or call with an "
        "API key",
        facts={"limit": str(most)},
        retry_after_seconds=RETRY_SECONDS,
    )
