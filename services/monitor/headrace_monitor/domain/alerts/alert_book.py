"""The book of alerts: rules, alerts, their history, silences, what is to be sent, budgets by hour.

It is changed in the thread of the reports alone, and stored with them. What others read is replaced, never
changed: any thread may look at it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256

from headrace import errors
from headrace.alert_rules.rules_file import DEFAULT_RULES, RuleSet, read_rules
from headrace_monitor.domain.alerts import book_entries, states
from headrace_monitor.domain.alerts.alerts import Acknowledgement, Alert, State
from headrace_monitor.domain.alerts.budgets import Budgets
from headrace_monitor.domain.alerts.notifications import Notification, tell
from headrace_monitor.domain.alerts.silences import MAX_SILENCES, Silence, require_valid
from headrace_monitor.domain.alerts.states import Look
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.ingestion.books import BookChanges
from headrace_monitor.domain.telemetry.report import NANOSECONDS, Report

logger = logging.getLogger(__name__)

NAME = "alerts"
MAX_ALERTS = 5000
"""Pending and firing together, some 2 kB each; what begins beyond it is left out and counted."""
MAX_HISTORY = 1000
MAX_WAITING = 1000
"""Notifications that wait for a receiver; over it the oldest are dropped."""
MAX_AGE_NS = 86_400 * NANOSECONDS
"""A notification that nobody took for so long is dropped."""

STORED_ANEW_NS = 60 * NANOSECONDS
"""So often the values of an alert are stored, which change with every look."""


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """The rules, the text that they are of, and its etag."""

    rules: RuleSet = DEFAULT_RULES
    source: str = ""

    @property
    def etag(self) -> str:
        """Another one for another text."""
        return sha256(self.source.encode()).hexdigest()[:16]


class AlertBook:
    """Keeps all of alerts over a restart."""

    def __init__(self, fixed: RulesInForce | None = None) -> None:
        """`fixed` are the rules of the file that the monitor was started with."""
        self.fixed = fixed
        self.in_force = fixed or RulesInForce()
        self.alerts: Mapping[str, Alert] = {}
        self.history: Sequence[Alert] = ()
        """What was resolved, newest first."""
        self.silences: Mapping[str, Silence] = {}
        self.waiting: Mapping[str, Notification] = {}
        """What is to be sent, oldest first."""
        self.counts: Mapping[str, Mapping[str, int]] = {}
        """What became of notifications, by receiver: delivered, failed, dropped; they never go back."""
        self.revision = 0
        """Another number after every change of alerts, for those who watch."""
        self.budgets = Budgets()
        self._stored_ns: dict[str, int] = {}
        self._changed: dict[bytes, bytes] = {}
        self._gone: set[bytes] = set()

    @property
    def name(self) -> str:
        """The name under which its entries are stored."""
        return NAME

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take up what was stored; what cannot be read is left out."""
        found = book_entries.read_all(entries, self.budgets)
        self.alerts = found.alerts
        self.history = tuple(sorted(found.history, key=lambda alert: -alert.resolve_ns))
        self.silences = found.silences
        self.counts = found.counts
        self.waiting = dict(
            sorted(found.waiting.items(), key=lambda item: item[1].create_steady_ns)
        )
        if self.fixed is None and found.rules:
            self.in_force = _as_stored(found.rules)

    def merge(self, report: Report, moment: Moment) -> None:
        """Nothing: rules look at what others keep."""

    def changes(self, moment: Moment) -> BookChanges:
        """Drop what is too old, and give all that differs from what is stored."""
        self._drop_old(moment)
        entries = dict(self._changed)
        for key in self.budgets.changed:
            entries[book_entries.budget_key(key)] = book_entries.encoded_hours(self.budgets.of(key))
        gone = self._gone | {book_entries.budget_key(key) for key in self.budgets.gone}
        return BookChanges(entries, gone)

    def mark_stored(self) -> None:
        """All that `changes` gave is stored."""
        self._changed, self._gone = {}, set()
        self.budgets.mark_stored()

    def take_looks(self, looks: Sequence[Look], moment: Moment) -> None:
        """Have alerts begin, go on and end by what all rules saw, and decide whom to tell."""
        going_on: list[Alert] = []
        ended: list[Alert] = []
        for look in looks:
            active, over = states.after_look(self.alerts, look, moment)
            going_on += active
            ended += over
        for alert in states.without_rule(self.alerts.values(), self.in_force.rules.active):
            ended.append(states.resolved(alert, moment) if alert.state is State.FIRING else alert)
        if len(going_on) > MAX_ALERTS:
            self.count("", "left_out", len(going_on) - MAX_ALERTS)
        self._take(going_on[:MAX_ALERTS], ended, moment)

    def _take(self, going_on: list[Alert], ended: list[Alert], moment: Moment) -> None:
        over = [alert for alert in ended if alert.state is State.RESOLVED]
        silences = [each for each in self.silences.values() if each.end_ns > moment.now_ns]
        told = tell([*going_on, *over], self.in_force.rules, silences, moment)
        later = {alert.id: alert for alert in told.alerts if alert.state is not State.RESOLVED}
        resolved = [alert for alert in told.alerts if alert.state is State.RESOLVED]
        self._store_alerts(later, moment)
        self.alerts = later
        if resolved:
            self._set_history([*resolved, *self.history])
        self._enqueue(told.notifications)
        self.revision += 1

    def _store_alerts(self, later: Mapping[str, Alert], moment: Moment) -> None:
        for key in self.alerts.keys() - later.keys():
            self._drop(book_entries.ALERT + key.encode())
            self._stored_ns.pop(key, None)
        for key, alert in later.items():
            before = self.alerts.get(key)
            stored = self._stored_ns.get(key, 0)
            is_old = moment.steady_ns - stored >= STORED_ANEW_NS
            if before is None or _has_moved(before, alert) or (is_old and alert != before):
                self._stored_ns[key] = moment.steady_ns
                self._put(book_entries.ALERT + key.encode(), book_entries.encoded(alert))

    def _set_history(self, history: list[Alert]) -> None:
        kept = history[:MAX_HISTORY]
        before = {book_entries.history_key(alert) for alert in self.history}
        now = {book_entries.history_key(alert): alert for alert in kept}
        for key in before - now.keys():
            self._drop(key)
        for key in now.keys() - before:
            self._put(key, book_entries.encoded(now[key]))
        self.history = tuple(kept)

    def _enqueue(self, more: Sequence[Notification]) -> None:
        if not more:
            return
        waiting = {**self.waiting, **{each.id: each for each in more}}
        for each in more:
            self._put(book_entries.OUTBOX + each.id.encode(), book_entries.encoded(each))
        self.waiting = waiting
        for receiver in {each.receiver for each in more}:
            of_it = [each for each in waiting.values() if each.receiver == receiver]
            self._drop_waiting(of_it[: max(0, len(of_it) - MAX_WAITING)])

    def _drop_old(self, moment: Moment) -> None:
        before = moment.steady_ns - MAX_AGE_NS
        known = {receiver.name for receiver in self.in_force.rules.receivers}
        self._drop_waiting(
            [
                each
                for each in self.waiting.values()
                if each.create_steady_ns < before or each.receiver not in known
            ]
        )
        over = [each for each in self.silences.values() if each.end_ns <= moment.now_ns]
        for silence in over:
            self._remove_silence(silence.id)

    def _drop_waiting(self, dropped: Sequence[Notification]) -> None:
        self._remove_waiting({each.id for each in dropped})
        for receiver, more in Counter(each.receiver for each in dropped).items():
            self.count(receiver, "dropped", more)

    def count(self, receiver: str, outcome: str, more: int = 1) -> None:
        """Count what became of a notification; with '' what became of an alert."""
        of_it = self.counts.get(receiver, {})
        of_it = {**of_it, outcome: of_it.get(outcome, 0) + more}
        self.counts = {**self.counts, receiver: of_it}
        self._put(book_entries.COUNTS + receiver.encode(), book_entries.encoded_counts(of_it))

    def sent(self, notification: Notification) -> None:
        """A receiver took a notification."""
        self.count(notification.receiver, "delivered")
        self._remove_waiting({notification.id})

    def _remove_waiting(self, ids: Collection[str]) -> None:
        """Remove all of these at once: what others read is made anew each time."""
        known = [each for each in ids if each in self.waiting]
        if known:
            self.waiting = {key: each for key, each in self.waiting.items() if key not in ids}
        for each in known:
            self._drop(book_entries.OUTBOX + each.encode())

    def acknowledge(self, alert_id: str, by: str, comment: str, moment: Moment) -> Alert:
        """Somebody looks after an alert. Raises NotFound (ALERT_NOT_FOUND)."""
        alert = self.alerts.get(alert_id)
        if alert is None:
            raise alert_not_found(alert_id)
        later = replace(alert, acknowledged=Acknowledgement(by, moment.now_ns, comment))
        self.alerts = {**self.alerts, alert_id: later}
        self._put(book_entries.ALERT + alert_id.encode(), book_entries.encoded(later))
        self.revision += 1
        return later

    def add_silence(self, silence: Silence, moment: Moment) -> Silence:
        """Tell nobody of some alerts. Raises InvalidArgument (SILENCE_INVALID), ResourceExhausted."""
        require_valid(silence, moment.now_ns)
        if len(self.silences) >= MAX_SILENCES:
            raise errors.ResourceExhausted(
                "TOO_MANY_SILENCES", f"there are {MAX_SILENCES} silences, the most allowed; end one"
            )
        self.silences = {**self.silences, silence.id: silence}
        self._put(book_entries.SILENCE + silence.id.encode(), book_entries.encoded(silence))
        self._mark_silenced(moment)
        return silence

    def remove_silence(self, silence_id: str, moment: Moment) -> None:
        """End a silence. Raises NotFound (SILENCE_NOT_FOUND)."""
        if silence_id not in self.silences:
            raise errors.NotFound("SILENCE_NOT_FOUND", f"there is no silence {silence_id[:40]!r}")
        self._remove_silence(silence_id)
        self._mark_silenced(moment)

    def _mark_silenced(self, moment: Moment) -> None:
        """Show at once what is silenced; who has to be told of what no longer is, the next look decides."""
        silences = [each for each in self.silences.values() if each.end_ns > moment.now_ns]

        def marked(alert: Alert) -> Alert:
            fits = partial(Silence.fits, alert=alert)
            found = next((each.id for each in silences if fits(each)), "")
            return replace(alert, silence=found if alert.state is State.FIRING else "")

        self.alerts = {key: marked(alert) for key, alert in self.alerts.items()}
        self.revision += 1

    def _remove_silence(self, silence_id: str) -> None:
        self.silences = {key: each for key, each in self.silences.items() if key != silence_id}
        self._drop(book_entries.SILENCE + silence_id.encode())

    def set_rules(self, source: str, etag: str) -> RulesInForce:
        """Put rules in force. Raises InvalidArgument, FailedPrecondition, Aborted."""
        found = self.checked(source, etag)
        self.in_force = found
        self._put(book_entries.RULES, source.encode())
        self.budgets.forget_rules(rule.name for rule in found.rules.active)
        self.revision += 1
        return found

    def checked(self, source: str, etag: str) -> RulesInForce:
        """Return what `set_rules` would put in force, or raise what it would."""
        if self.fixed is not None:
            raise errors.FailedPrecondition(
                "ALERT_RULES_FIXED",
                "the monitor was started with a file of rules (--alert-rules): change that file",
            )
        if etag and etag != self.in_force.etag:
            raise errors.Aborted(
                "ETAG_MISMATCH",
                f"the rules have the etag {self.in_force.etag}, not {etag[:40]!r}: somebody else "
                "changed them; read them again",
            )
        return RulesInForce(read_rules(source), source)

    def _put(self, key: bytes, value: bytes) -> None:
        self._changed[key] = value
        self._gone.discard(key)

    def _drop(self, key: bytes) -> None:
        self._changed.pop(key, None)
        self._gone.add(key)


def _as_stored(source: str) -> RulesInForce:
    """Return rules that were applied once; the shipped ones where another version took others than this."""
    try:
        return RulesInForce(read_rules(source), source)
    except errors.InvalidArgument as error:
        problem = error.message
    logger.error("the rules of alerts cannot be read, apply them anew: %s", problem)
    return RulesInForce(source=source)


def alert_not_found(alert_id: str) -> errors.NotFound:
    """Say that no such alert is pending or firing."""
    return errors.NotFound(
        "ALERT_NOT_FOUND",
        f"no alert {alert_id[:40]!r} is pending or firing; `headrace alerts` lists them",
    )


def _has_moved(before: Alert, alert: Alert) -> bool:
    """Return whether more changed than the value."""
    return (
        before.state is not alert.state
        or before.severity != alert.severity
        or before.told != alert.told
        or before.acknowledged != alert.acknowledged
        or before.silence != alert.silence
        or bool(before.clear_steady_ns) != bool(alert.clear_steady_ns)
    )
