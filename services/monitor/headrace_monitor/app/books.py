"""The books that the monitor keeps beside its ledger, made before anything is open."""

from __future__ import annotations

from dataclasses import dataclass

from headrace_monitor.app import alerts, drift, profiles, quality
from headrace_monitor.app.drift import DriftParts
from headrace_monitor.domain.alerts.alert_book import AlertBook
from headrace_monitor.domain.ingestion.books import Book
from headrace_monitor.domain.ingestion.recent_exemplars import RecentExemplars
from headrace_monitor.domain.profiles.profile_book import ProfileBook
from headrace_monitor.domain.quality.quality_book import QualityBook
from headrace_monitor.domain.quality.recent_requests import RecentRequests
from headrace_monitor.domain.telemetry.known_layouts import KnownLayouts
from headrace_monitor.settings import Settings


@dataclass(frozen=True, slots=True)
class Books:
    """Each of them, by what it knows."""

    layouts: KnownLayouts
    profiles: ProfileBook
    quality: QualityBook
    requests: RecentRequests
    exemplars: RecentExemplars
    drift: DriftParts
    alerts: AlertBook

    def in_order(self) -> tuple[Book, ...]:
        """Return those that get reports: drift after the profiles that it compares, alerts after all."""
        return (
            self.profiles,
            self.quality,
            self.requests,
            self.exemplars,
            self.drift.book,
            self.alerts,
        )


def make_books(settings: Settings) -> Books:
    """Make them, as the settings bound them. Raises FailedPrecondition for rules that cannot be used."""
    layouts = KnownLayouts()
    return Books(
        layouts,
        profiles.make_book(settings, layouts),
        quality.make_book(settings),
        RecentRequests(),
        RecentExemplars(),
        drift.make_parts(settings),
        alerts.make_book(settings),
    )
