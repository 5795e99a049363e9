"""The threads of a version's instances: they start when requests wait for them, and end when none do.

None of it is locked: a pool is, and calls it with its mutex held.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

LINGER_SECONDS = 10.0
"""A thread with nothing to do ends after so long. Starting one takes some 100 µs, so a version that is
called now and then pays little, and a thousand that nobody calls have no threads."""


class Instances:
    """Up to `most` threads that run `serve`, and those of them that sleep.

    `active` is told when the first thread starts and when the last one ends.
    """

    def __init__(
        self, name: str, most: int, serve: Callable[[], None], active: Callable[[bool], None]
    ) -> None:
        self._name = name
        self._most = most
        self._serve = serve
        self._active = active
        self.threads: set[threading.Thread] = set()
        self.sleeping: list[threading.Lock] = []
        """Of each thread that sleeps, the lock that wakes it: one release, and no thundering herd."""

    @property
    def free(self) -> int:
        """Return how many sleep or may yet start."""
        return self._most - len(self.threads) + len(self.sleeping)

    def wake_one(self) -> bool:
        """Have one more take what waits, if one is free. False: there is no thread, and none can start."""
        if self.sleeping:
            self.sleeping.pop().release()
        elif len(self.threads) < self._most:
            return self._start()
        return True

    def wake_sleeping(self) -> None:
        """Have all look again that sleep."""
        while self.sleeping:
            self.sleeping.pop().release()

    def end(self) -> None:
        """The calling thread is about to end."""
        self.threads.discard(threading.current_thread())
        if not self.threads:
            self._active(False)

    def _start(self) -> bool:
        name = f"{self._name}-instance-{len(self.threads)}"
        thread = threading.Thread(target=self._serve, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no more threads: those that run go on
            logger.warning("an instance cannot start: %s", error, extra={"version": self._name})
            return bool(self.threads)
        if not self.threads:
            self._active(True)
        self.threads.add(thread)
        return True
