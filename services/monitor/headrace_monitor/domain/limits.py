"""Bounds what reports can make the monitor keep, whatever they say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that is told apart at a time; each is a setting of the monitor."""

    versions: int = 2000
    """More would make the scrape of a metric with 30 buckets larger than scrapers take in ten seconds."""
    reasons: int = 200
    """Of one version: reasons of errors, and as many routes. Replicas have some dozens."""
    replicas: int = 1000


DEFAULT_LIMITS = Limits()

SILENT_SECONDS = 600
"""A replica or version that was silent for so long gives its place to a new one: replicas keep for as long
what they could not send, so whoever comes back in time finds its place."""
