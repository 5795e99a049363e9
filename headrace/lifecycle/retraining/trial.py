"""Decides what becomes of a version on trial: pure, from what the monitor tells of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from headrace.lifecycle.retraining.plan import Canary, seconds


class FiringAlert(Protocol):
    """An alert that fires."""

    @property
    def rule(self) -> str:
        """The name of its rule."""

    @property
    def kind(self) -> str:
        """The kind of its rule."""

    @property
    def version(self) -> int:
        """The version that it is about; 0: none."""

    @property
    def summary(self) -> str:
        """What is wrong, in a sentence."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the version on trial."""

    seconds: float
    """Since the trial began."""
    requests: int
    """That it answered in this time, errors among them."""
    errors: int
    alerts: tuple[FiringAlert, ...] = ()
    is_known: bool = True
    """Whether the monitor answered."""


class Next(Enum):
    """What to do."""

    WAIT = "wait"
    PROMOTE = "promote"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why."""

    next: Next
    why: str


def decide(canary: Canary, seen: Seen) -> Decision:
    """Promote after the time and the requests that were asked for, unless something speaks against it.

    What is not known never promotes: without the monitor it waits.
    """
    against = _against(canary, seen)
    if against:
        return Decision(Next.BACK, against)
    asked = seconds(canary.duration, "canary.for")
    counted = f"{seen.requests} requests, {seen.errors} errors in {seen.seconds:.0f} s"
    if seen.seconds < asked:
        return Decision(Next.WAIT, f"{counted} of {asked:.0f} s")
    if seen.is_known and seen.requests >= canary.min_requests:
        return Decision(Next.PROMOTE, counted)
    lacks = f"{counted}, and {canary.min_requests} requests are asked for"
    if not seen.is_known:
        lacks = (
            f"in {seen.seconds:.0f} s nothing is known of the trial: the monitor does not answer"
        )
    is_early = seen.seconds < asked + seconds(canary.wait_for_requests, "canary.wait_for_requests")
    return Decision(Next.WAIT if is_early else Next.BACK, lacks)


def _against(canary: Canary, seen: Seen) -> str:
    alert = next(
        (each for each in seen.alerts if each.rule in canary.alerts or each.kind in canary.alerts),
        None,
    )
    if alert is not None:
        return f"alert {alert.rule}: {alert.summary}"
    rate = seen.errors / max(1, seen.requests)
    if canary.max_error_rate is not None and rate > canary.max_error_rate:
        return f"{seen.errors} of {seen.requests} requests were errors, over {canary.max_error_rate:.3g}"
    return ""


def firing(alerts: Iterable[FiringAlert], names: Sequence[str], version: int) -> FiringAlert | None:
    """The first alert of rules or kinds with these names that is about the version."""
    return next(
        (
            each
            for each in alerts
            if each.version == version and (each.rule in names or each.kind in names)
        ),
        None,
    )
