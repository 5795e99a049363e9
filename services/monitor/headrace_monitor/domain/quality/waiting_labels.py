"""Labels whose answers are not there yet: kept for a day, since a replica may tell of them later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from headrace_monitor.domain.quality.kept_answers import key_of
from headrace_monitor.domain.telemetry.report import NANOSECONDS

_ALL_VERSIONS = 0

WAIT_NS = 24 * 3600 * NANOSECONDS
"""Of the time in which the monitor runs."""


class WaitingLabel(msgspec.Struct, array_like=True, frozen=True):
    """The truth about a row of a request, whichever version answers it."""

    truth: str | float
    told_ms: int
    since_ns: int
    """By the steady time."""


class WaitingLabels:
    """The newest labels by the key of their rows; what `changed` or is `gone` is not stored yet."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._labels: dict[int, WaitingLabel] = {}
        self.changed: set[int] = set()
        self.gone: set[int] = set()

    def __len__(self) -> int:
        return len(self._labels)

    def put(self, model: str, request_id: str, row: int, label: WaitingLabel) -> None:
        """Keep a label; the one that waited longest makes room."""
        key = key_of(model, _ALL_VERSIONS, request_id, row)
        known = self._labels.get(key)
        if known is not None and known.told_ms > label.told_ms:
            return
        self._labels.pop(key, None)
        self._labels[key] = label
        self.changed.add(key)
        self.gone.discard(key)
        if len(self._labels) > self._most:
            self._drop(next(iter(self._labels)))

    def find(self, model: str, request_id: str, row: int) -> WaitingLabel | None:
        """Return the label of a row, if it waits."""
        if not self._labels:
            return None
        return self._labels.get(key_of(model, _ALL_VERSIONS, request_id, row))

    def drop_before(self, steady_ns: int) -> None:
        """Drop those that began to wait earlier."""
        while self._labels:
            key, label = next(iter(self._labels.items()))
            if label.since_ns >= steady_ns:
                return
            self._drop(key)

    def _drop(self, key: int) -> None:
        del self._labels[key]
        self.changed.discard(key)
        self.gone.add(key)

    def changed_labels(self) -> Iterator[tuple[int, bytes]]:
        """The key of each label that differs from what is stored, and the label as it is stored."""
        for key in self.changed:
            yield key, msgspec.msgpack.encode(self._labels[key])

    def mark_stored(self) -> None:
        """All that changed or is gone is stored."""
        self.changed.clear()
        self.gone.clear()

    def restore(self, stored: Iterable[tuple[int, bytes]]) -> None:
        """Take up what was stored."""
        labels = [(key, msgspec.msgpack.decode(data, type=WaitingLabel)) for key, data in stored]
        self._labels = dict(sorted(labels, key=lambda each: each[1].since_ns))
