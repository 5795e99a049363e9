"""Counts those who are in the middle of something with a version: it is not closed before they leave it."""

from __future__ import annotations

import threading

from headrace_inference.domain.scheduling.scheduler import SchedulerStopped


class VersionLeases:
    """The leases of one version; from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._closed = False
        self.count = 0

    def take(self) -> None:
        """Have the version stay open until `give_back`. Raises SchedulerStopped once it is being closed."""
        with self._changed:
            if self._closed:
                raise SchedulerStopped
            self.count += 1

    def give_back(self) -> None:
        """Need the version no more."""
        with self._changed:
            self.count -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Give no more of them, and wait for the last to come back."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self.count)
