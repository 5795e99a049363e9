"""The book that knows how data looked."""

from __future__ import annotations

from headrace_monitor.domain.profiles.profile_book import ProfileBook
from headrace_monitor.domain.telemetry.known_layouts import KnownLayouts
from headrace_monitor.settings import Settings

_MIB = 2**20


def make_book(settings: Settings, layouts: KnownLayouts) -> ProfileBook:
    """The book, as the settings bound it; it knows and tells the fields of versions."""
    return ProfileBook(layouts, settings.kept_hours * 3600, settings.profile_memory_mb * _MIB)
