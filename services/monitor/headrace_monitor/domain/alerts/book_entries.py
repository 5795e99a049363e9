"""The entries of the book of alerts as bytes: JSON, so that what a newer version wrote can be read."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from headrace_monitor.domain.alerts.alerts import Alert
from headrace_monitor.domain.alerts.budgets import BudgetKey, Budgets
from headrace_monitor.domain.alerts.notifications import Notification
from headrace_monitor.domain.alerts.silences import Silence

logger = logging.getLogger(__name__)

RULES = b"rules"
ALERT, HISTORY, SILENCE, OUTBOX, BUDGET = b"alert/", b"past/", b"silence/", b"outbox/", b"budget/"
COUNTS = b"counts/"

Kept = TypeVar("Kept")


@dataclass(slots=True)
class Entries:
    """What was stored, decoded."""

    rules: str = ""
    alerts: dict[str, Alert] = field(default_factory=dict)
    history: list[Alert] = field(default_factory=list)
    silences: dict[str, Silence] = field(default_factory=dict)
    waiting: dict[str, Notification] = field(default_factory=dict)
    counts: dict[str, Mapping[str, int]] = field(default_factory=dict)


def encoded(kept: Alert | Silence | Notification) -> bytes:
    """Return its bytes."""
    return msgspec.json.encode(kept)


def history_key(alert: Alert) -> bytes:
    """Return the key of an alert that is over: one may be resolved many times."""
    return HISTORY + f"{alert.resolve_ns:020d}/{alert.id}".encode()


def budget_key(key: BudgetKey) -> bytes:
    """Return the key of a budget."""
    return BUDGET + msgspec.json.encode(key)


def encoded_hours(hours: Mapping[int, tuple[int, int]]) -> bytes:
    """Return what was counted by hour as bytes."""
    return msgspec.json.encode([(hour, *counted) for hour, counted in hours.items()])


def encoded_counts(counts: Mapping[str, int]) -> bytes:
    """Return what became of a receiver's notifications as bytes."""
    return msgspec.json.encode(counts)


def read_all(entries: Iterable[tuple[bytes, bytes]], budgets: Budgets) -> Entries:
    """Return what was stored, and hand the hours to the budgets."""
    found = Entries()
    unread = 0
    for key, value in entries:
        try:
            _read(key, value, found, budgets)
        except (msgspec.DecodeError, UnicodeDecodeError):  # a ValidationError is a DecodeError
            unread += 1
    if unread:
        logger.error(
            "entries of alerts cannot be read, and are left out", extra={"entries": unread}
        )
    return found


def _read(key: bytes, value: bytes, found: Entries, budgets: Budgets) -> None:
    if key == RULES:
        found.rules = value.decode()
    elif key.startswith(ALERT):
        alert = msgspec.json.decode(value, type=Alert)
        found.alerts[alert.id] = alert
    elif key.startswith(HISTORY):
        found.history.append(msgspec.json.decode(value, type=Alert))
    elif key.startswith(SILENCE):
        silence = msgspec.json.decode(value, type=Silence)
        found.silences[silence.id] = silence
    elif key.startswith(OUTBOX):
        notification = msgspec.json.decode(value, type=Notification)
        found.waiting[notification.id] = notification
    elif key.startswith(COUNTS):
        counts = msgspec.json.decode(value, type=dict[str, int])
        found.counts[key[len(COUNTS) :].decode()] = counts
    elif key.startswith(BUDGET):
        of = msgspec.json.decode(key[len(BUDGET) :], type=BudgetKey)
        hours = msgspec.json.decode(value, type=list[tuple[int, int, int]])
        budgets.restore(of, {hour: (requests, bad) for hour, requests, bad in hours})
