"""Identity and permissions of a service while it runs, by its settings, and their metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from headrace.security.access import Access
from headrace.security.identity_sources import IdentitySources
from headrace.security.settings import AccessSettings


@contextmanager
def open_access(
    settings: AccessSettings, metrics: CollectorRegistry, *, behind_gateway: bool = False
) -> Iterator[Access]:
    """What decides while inside. Its rights are for the service to set; until then nobody has any.

    Raises FailedPrecondition (IDENTITY_FILE_INVALID, JWT_NOT_INSTALLED).
    """
    access = Access(is_on=settings.auth == "on", behind_gateway=behind_gateway)
    if settings.identity_file is None:
        yield access
        return
    sources = IdentitySources(settings.identity_file, access)
    metrics.register(AccessMetrics(sources))
    with sources.running():
        yield access


class AccessMetrics(Collector):
    """The metrics of the identity file and its issuers."""

    def __init__(self, sources: IdentitySources) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        """Every metric as it is now."""
        sources = self._sources
        usable = GaugeMetricFamily(
            "headrace_identity_file_usable",
            "1 while the identity file is what is in force, 0 while what it said before still is.",
            value=not sources.problem,
        )
        reloads = CounterMetricFamily(
            "headrace_identity_file_reloads",
            "Changed identity files that were put in force.",
            value=sources.reloads,
        )
        keys = GaugeMetricFamily(
            "headrace_issuer_keys", "Keys of an issuer that are trusted now.", labels=("issuer",)
        )
        failures = CounterMetricFamily(
            "headrace_issuer_key_failures",
            "Readings of an issuer's keys that failed; those of before stay.",
            labels=("issuer",),
        )
        for each in sources.issuers:
            keys.add_metric((each.issuer.name,), len(each.keys))
            failures.add_metric((each.issuer.name,), each.failures)
        return (usable, reloads, keys, failures)

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance."""
        return ()
