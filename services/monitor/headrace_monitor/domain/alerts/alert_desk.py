"""What callers ask of alerts: lists, acknowledgements, silences, rules."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import uuid4

from headrace import errors
from headrace.alert_rules.receivers import AnyReceiver
from headrace.alert_rules.rules import SEVERITIES
from headrace.alert_rules.rules_file import RuleSet
from headrace_monitor.domain.alerts.alert_book import AlertBook, alert_not_found
from headrace_monitor.domain.alerts.alerts import Alert, State
from headrace_monitor.domain.alerts.silences import Silence
from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.ingestion.ingestion import Ingestion

MAX_PAGE = 1000
DEFAULT_PAGE = 100
MAX_COMMENT = 1000

_RANKS: Mapping[str, int] = {severity: rank for rank, severity in enumerate(SEVERITIES)}

IsSeen = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """Which alerts; `severity` is the least. Without a state those that are pending or firing."""

    model: str = ""
    rule: str = ""
    state: State | None = None
    severity: str = "info"
    size: int = 0
    token: str = ""


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Some of them, and how many there are."""

    alerts: tuple[Alert, ...]
    total: int
    next_token: str = ""


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What a file of rules changes: names of rules, and `receivers/NAME`."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    diff: str
    etag: str


class ReceiverHealth(Protocol):
    """How it goes with a receiver."""

    problem: str
    delivered_ns: int


class Deliveries(Protocol):
    """Sends notifications."""

    @property
    def health(self) -> Mapping[str, ReceiverHealth]:
        """By the receiver's name."""

    def wake(self) -> None:
        """Look for something to send."""

    async def test(self, receiver: AnyReceiver) -> str:
        """Send a test; returns why it was not taken, '' where it was."""


class AlertDesk:
    """Answers questions, and has the book changed by callers."""

    def __init__(
        self, book: AlertBook, ingestion: Ingestion, deliveries: Deliveries, clock: Clock
    ) -> None:
        self.book = book
        self._ingestion = ingestion
        self.deliveries = deliveries
        self._clock = clock

    def page(self, query: AlertQuery, is_seen: IsSeen) -> AlertPage:
        """Some alerts of models that are seen. Raises InvalidArgument for a wrong size or token."""
        found = self._found(query, is_seen)
        start, size = _place(query)
        page = tuple(found[start : start + size])
        more = str(start + size) if start + size < len(found) else ""
        return AlertPage(page, len(found), more)

    def _found(self, query: AlertQuery, is_seen: IsSeen) -> list[Alert]:
        least = _RANKS[query.severity]
        of_state: Iterable[Alert] = (
            self.book.history if query.state is State.RESOLVED else in_order(self.book.alerts)
        )
        return [
            alert
            for alert in of_state
            if query.state in (None, alert.state)
            and query.model in ("", alert.subject.model)
            and query.rule in ("", alert.rule)
            and severity_rank(alert) >= least
            and is_seen(alert.subject.model)
        ]

    def alert(self, alert_id: str, is_seen: IsSeen) -> Alert:
        """An alert that is pending or firing. Raises NotFound (ALERT_NOT_FOUND)."""
        found = self.book.alerts.get(alert_id)
        if found is None or not is_seen(found.subject.model):
            raise alert_not_found(alert_id)
        return found

    async def acknowledge(self, alert_id: str, by: str, comment: str) -> Alert:
        """Somebody looks after it. Raises NotFound (ALERT_NOT_FOUND), InvalidArgument."""
        if len(comment) > MAX_COMMENT:
            raise errors.InvalidArgument(
                "COMMENT_TOO_LONG", f"a comment has at most {MAX_COMMENT} characters"
            )
        return await self._ingestion.apply(
            lambda: self.book.acknowledge(alert_id, by, comment, self._clock())
        )

    async def silence(self, wanted: Silence) -> Silence:
        """Tell nobody of some alerts. Raises InvalidArgument (SILENCE_INVALID), ResourceExhausted."""
        moment = self._clock()
        made = replace(wanted, id=uuid4().hex[:12], create_ns=moment.now_ns)
        return await self._ingestion.apply(lambda: self.book.add_silence(made, moment))

    async def end_silence(self, silence_id: str) -> None:
        """End a silence. Raises NotFound (SILENCE_NOT_FOUND)."""
        await self._ingestion.apply(lambda: self.book.remove_silence(silence_id, self._clock()))

    def silences(self) -> list[Silence]:
        """All that have not ended, those that end first before others."""
        now_ns = self._clock().now_ns
        found = [each for each in self.book.silences.values() if each.end_ns > now_ns]
        return sorted(found, key=lambda each: (each.end_ns, each.id))

    def fitting(self, silence: Silence) -> int:
        """How many alerts a silence fits now."""
        return sum(
            silence.fits(alert) and alert.state is State.FIRING
            for alert in self.book.alerts.values()
        )

    async def apply_rules(self, source: str, etag: str, *, dry_run: bool) -> RuleChange:
        """Put a file of rules in force, or say what it would change.

        Raises InvalidArgument (ALERT_RULES_INVALID), FailedPrecondition (ALERT_RULES_FIXED), Aborted.
        """
        before = self.book.in_force
        if dry_run:
            later = self.book.checked(source, etag)
        else:
            later = await self._ingestion.apply(lambda: self.book.set_rules(source, etag))
            self.deliveries.wake()
        return _change(before.rules, later.rules, before.source, source, later.etag)

    async def test(self, receiver: str) -> str:
        """Send a test to a receiver. Raises NotFound (RECEIVER_NOT_FOUND)."""
        receivers = {each.name: each for each in self.book.in_force.rules.receivers}
        if receiver not in receivers:
            raise errors.NotFound(
                "RECEIVER_NOT_FOUND",
                f"there is no receiver {receiver[:63]!r}; there are {', '.join(sorted(receivers))}",
            )
        return await self.deliveries.test(receivers[receiver])


def in_order(alerts: Mapping[str, Alert]) -> list[Alert]:
    """Return those that fire before those that are pending, the worst first, the oldest first."""
    return sorted(
        alerts.values(),
        key=lambda alert: (
            alert.state is not State.FIRING,
            -severity_rank(alert),
            alert.start_ns,
            alert.id,
        ),
    )


def severity_rank(alert: Alert) -> int:
    """How bad an alert is; 0 is the least."""
    return _RANKS.get(alert.severity, 0)


def _place(query: AlertQuery) -> tuple[int, int]:
    if not 0 <= query.size <= MAX_PAGE:
        raise errors.InvalidArgument(
            "PAGE_SIZE_INVALID", f"page_size must be from 1 to {MAX_PAGE}, or 0 for {DEFAULT_PAGE}"
        )
    if query.token and not (query.token.isascii() and query.token.isdigit()):
        raise errors.InvalidArgument("PAGE_TOKEN_INVALID", "page_token is none of this list")
    return int(query.token[:9] or 0), query.size or DEFAULT_PAGE


def _change(before: RuleSet, later: RuleSet, old_text: str, new_text: str, etag: str) -> RuleChange:
    old, new = _named(before), _named(later)
    both = old.keys() & new.keys()
    return RuleChange(
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(name for name in both if old[name] != new[name])),
        tuple(sorted(old.keys() - new.keys())),
        tuple(sorted(name for name in both if old[name] == new[name])),
        _diff(old_text.splitlines(), new_text.splitlines()),
        etag,
    )


def _named(rules: RuleSet) -> dict[str, object]:
    found: dict[str, object] = {rule.name: rule for rule in rules.rules}
    return found | {f"receivers/{each.name}": each for each in rules.receivers}


def _diff(before: Sequence[str], later: Sequence[str]) -> str:
    lines = difflib.unified_diff(before, later, "in force", "applied", lineterm="", n=2)
    return "\n".join(lines)
