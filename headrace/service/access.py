"""Identity and permissions of a service while it runs, by its settings, and their metrics."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from headrace import addresses
from headrace.security.access import Access
from headrace.security.identity_sources import IdentitySources

logger = logging.getLogger(__name__)


class ServedSettings(Protocol):
    """The settings of a service: who may call, and how its ports are reached."""

    @property
    def auth(self) -> str:
        """Whether callers have to be somebody: on or off."""

    @property
    def identity_file(self) -> Path | None:
        """Whose word is taken for it."""

    @property
    def host(self) -> str:
        """The address of the ports."""

    @property
    def tls_cert(self) -> Path | None:
        """The certificate of the ports, if they speak TLS."""

    @property
    def tls_client_auth(self) -> str:
        """Whether callers show a certificate: off, optional or required."""


@contextmanager
def open_access(settings: ServedSettings, metrics: CollectorRegistry) -> Iterator[Access]:
    """What decides while inside. Its rights are for the service to set; until then nobody has any.

    Raises FailedPrecondition (IDENTITY_FILE_INVALID, JWT_NOT_INSTALLED).
    """
    access = Access(is_on=settings.auth == "on")
    if not addresses.is_local(addresses.join(settings.host, 0)):
        _warn_of_what_is_open(settings)
    if settings.identity_file is None:
        yield access
        return
    sources = IdentitySources(settings.identity_file, access)
    metrics.register(AccessMetrics(sources))
    with sources.running():
        yield access


def _warn_of_what_is_open(settings: ServedSettings) -> None:
    """Say what others on the network may do or read here."""
    if settings.auth != "on" and settings.tls_client_auth != "required":
        logger.warning(
            "nobody is asked who he is here: everybody who reaches the ports at %s may do everything; turn "
            "identity and permissions on (--auth on; for a whole suite headrace up --auth), or listen on "
            "127.0.0.1",
            settings.host,
        )
    elif settings.auth == "on" and settings.tls_cert is None:
        logger.warning(
            "keys of callers come to %s in plaintext, for everybody on the way to read: give --tls-cert "
            "and --tls-key, or let a gateway alone reach this port",
            settings.host,
        )


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
