"""The book of alerts: what it keeps over a restart, whom it has told, and what bounds it."""

from __future__ import annotations

import pytest

from headrace import errors
from headrace.alert_rules.rules import Errors
from headrace.alert_rules.rules_file import DEFAULT_RULES
from headrace_monitor.domain.alerts.alert_book import MAX_WAITING, AlertBook
from headrace_monitor.domain.alerts.alerts import Level, Observation, Subject
from headrace_monitor.domain.alerts.silences import MAX_SILENCES, Silence
from headrace_monitor.domain.alerts.states import Look
from headrace_monitor.domain.clock import Moment

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
NOW = 1_700_000_000 * SECOND
RULES = """
[[rules]]
name = "r"
kind = "errors"
for = "0s"
resolve_after = "0s"

[[receivers]]
name = "first"
kind = "webhook"
url = "http://127.0.0.1:1"

[[receivers]]
name = "severe"
kind = "webhook"
least = "page"
url = "http://127.0.0.1:1"
"""
RULE = Errors(name="r", hold="0s", resolve_after="0s")


def at(seconds: float) -> Moment:
    """So many seconds after the start, by both times."""
    return Moment(NOW + int(seconds * SECOND), NOW + int(seconds * SECOND))


def over(*versions: int, severity: str = "") -> list[Look]:
    """What is seen where these versions are wrong."""
    seen = (
        Observation(Subject("m", version), Level.OVER, 2.0, 1.0, finding="f", severity=severity)
        for version in versions
    )
    return [Look(RULE, tuple(seen))]


class Stored:
    """What a store keeps of a book."""

    def __init__(self) -> None:
        self.entries: dict[bytes, bytes] = {}

    def save(self, book: AlertBook, moment: Moment) -> int:
        """Keep what changed; how many entries that were."""
        changes = book.changes(moment)
        self.entries.update(changes.entries)
        for key in changes.gone:
            self.entries.pop(key, None)
        book.mark_stored()
        return len(changes.entries)

    def restarted(self) -> AlertBook:
        """A book after a restart."""
        book = AlertBook()
        book.restore(self.entries.items())
        return book


def with_rules() -> AlertBook:
    """A book with two receivers."""
    book = AlertBook()
    book.set_rules(RULES, "")
    return book


def told(book: AlertBook) -> list[tuple[str, list[int]]]:
    """Who is to be told of which versions."""
    return [
        (each.receiver, [alert.subject.version for alert in each.alerts])
        for each in book.waiting.values()
    ]


def test_alerts_of_a_model_are_told_together() -> None:
    """One notification for those that fire at once, to receivers for which they are bad enough."""
    book = with_rules()
    book.take_looks(over(1, 2), at(0))
    assert [("first", [1, 2])] == told(book)
    book.take_looks(over(1, 2, 3, severity="page"), at(10))
    assert [("first", [1, 2]), ("severe", [1, 2, 3]), ("first", [3])] == told(book)


def test_a_restart_tells_nobody_again() -> None:
    """All of it is as it was: alerts, who was told, what waits, silences, rules."""
    stored, book = Stored(), with_rules()
    book.take_looks(over(1), at(0))
    book.acknowledge(next(iter(book.alerts)), "kim", "mine", at(1))
    silence = Silence("s1", at(3600).now_ns, "why", "kim", NOW, model="other")
    book.add_silence(silence, at(1))
    stored.save(book, at(1))
    again = stored.restarted()
    assert (book.alerts, book.waiting, book.silences) == (
        again.alerts,
        again.waiting,
        again.silences,
    )
    assert book.in_force == again.in_force
    (waiting,) = again.waiting.values()
    again.sent(waiting)
    again.take_looks(over(1), at(20))
    assert {} == again.waiting
    again.take_looks([Look(RULE)], at(30))
    assert [("first", [1])] == told(again)  # that it is over
    assert ([1], {}) == ([each.subject.version for each in again.history], again.alerts)
    stored.save(again, at(30))
    assert again.history == stored.restarted().history
    assert {"first": {"delivered": 1}} == stored.restarted().counts


def test_what_does_not_change_is_not_stored() -> None:
    """Values change with every look; they are stored once a minute."""
    stored, book = Stored(), with_rules()
    book.take_looks(over(1), at(0))
    stored.save(book, at(0))
    book.take_looks(over(1), at(10))
    assert 0 == stored.save(book, at(10))
    book.take_looks(over(1), at(70))
    assert 1 == stored.save(book, at(70))


def test_what_nobody_looks_after_is_told_again() -> None:
    """After four hours; not where somebody said that he does."""
    book = with_rules()
    for seconds, count in ((0, 1), (3600, 1), (4 * 3600, 2)):
        book.take_looks(over(1), at(seconds))
        assert count == len(book.waiting)
    book.acknowledge(next(iter(book.alerts)), "kim", "", at(4 * 3600))
    book.take_looks(over(1), at(12 * 3600))
    assert 2 == len(book.waiting)


def test_what_is_silenced_is_told_when_the_silence_ends() -> None:
    """If it still fires then; what is over meanwhile nobody hears of."""
    book = with_rules()
    book.add_silence(Silence("s", at(60).now_ns, "deploy", "kim", NOW, model="m*"), at(0))
    book.take_looks(over(1, 2), at(0))
    assert ({}, {"s"}) == (book.waiting, {alert.silence for alert in book.alerts.values()})
    book.take_looks(over(1), at(30))
    assert {} == book.waiting
    book.changes(at(61))
    book.take_looks(over(1), at(61))
    assert [("first", [1])] == told(book)
    assert {} == book.silences


def test_a_silence_can_be_ended() -> None:
    """And what it hid is told."""
    book = with_rules()
    book.add_silence(Silence("s", at(600).now_ns, "deploy", "kim", NOW, rule="r"), at(0))
    book.take_looks(over(1), at(0))
    book.remove_silence("s", at(10))
    book.take_looks(over(1), at(10))
    assert [("first", [1])] == told(book)


def test_an_alert_whose_rule_is_gone_is_over() -> None:
    """And who was told that it fires is told that."""
    book = with_rules()
    book.take_looks(over(1), at(0))
    book.set_rules(RULES.replace('name = "r"', 'name = "q"'), book.in_force.etag)
    book.take_looks([], at(10))
    assert {} == book.alerts
    assert ["firing", "resolved"] == [
        alert.state.value for each in book.waiting.values() for alert in each.alerts
    ]


def test_what_nobody_takes_is_bounded() -> None:
    """The oldest notifications of a receiver are dropped, and counted; after a day all are."""
    book = with_rules()
    for number in range(MAX_WAITING + 5):
        book.take_looks(over(number % 2 + 1), at(number * 10))
    assert (MAX_WAITING, {"first": {"dropped": 5}}) == (len(book.waiting), book.counts)
    book.changes(at(MAX_WAITING * 10 + 90_000))
    assert {} == book.waiting


def test_a_flood_is_told_within_bounds() -> None:
    """Thousands of models at once, to two receivers: each has the newest, all others are counted."""
    book, models = with_rules(), 4000
    seen = tuple(
        Observation(Subject(f"m{number:04}", 1), Level.OVER, 2.0, 1.0, severity="page")
        for number in range(models)
    )
    book.take_looks([Look(RULE, seen)], at(0))
    assert models == len(book.alerts)
    dropped = {"dropped": models - MAX_WAITING}
    assert (2 * MAX_WAITING, {"first": dropped, "severe": dropped}) == (
        len(book.waiting),
        book.counts,
    )
    stored = Stored()
    stored.save(book, at(0))
    assert book.waiting == stored.restarted().waiting


def test_silences_are_bounded() -> None:
    """So that nobody fills the monitor with them."""
    book = AlertBook()
    for number in range(MAX_SILENCES):
        book.add_silence(Silence(str(number), at(60).now_ns, "w", "k", NOW, model="m"), at(0))
    with pytest.raises(errors.ResourceExhausted) as caught:
        book.add_silence(Silence("more", at(60).now_ns, "w", "k", NOW, model="m"), at(0))
    assert "TOO_MANY_SILENCES" == caught.value.reason


def test_rules_that_another_version_took_keep_no_monitor_from_starting() -> None:
    """The shipped ones are in force until others are applied."""
    book = AlertBook()
    book.restore([(b"rules", b"[[rules]]\nkind = 'of the future'\nname = 'x'\n")])
    assert DEFAULT_RULES == book.in_force.rules
    assert "of the future" in book.in_force.source


def test_damaged_entries_are_left_out() -> None:
    """What cannot be read takes nothing else with it."""
    stored, book = Stored(), with_rules()
    book.take_looks(over(1, 2), at(0))
    stored.save(book, at(0))
    first = next(key for key in stored.entries if key.startswith(b"alert/"))
    stored.entries[first] = b'{"id": 3}'
    assert 1 == len(stored.restarted().alerts)
