"""TLS of a service: its certificates while it runs, what the log says of them, and their metrics."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from headrace.service.serving import open_background
from headrace.tls.certificates import Certificates
from headrace.tls.expiry import remark
from headrace.tls.servers import ServerTls
from headrace.tls.settings import ServerTlsSettings

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""Files are looked at so often, beside at each handshake: a pair that cannot be used is told soon."""
_REMIND_SECONDS = 86_400.0


@asynccontextmanager
async def open_server_tls(settings: ServerTlsSettings) -> AsyncIterator[ServerTls | None]:
    """The TLS of a service's ports, None where they are plain; its files are watched while inside.

    Raises FailedPrecondition (TLS_FILE_UNREADABLE, TLS_FILES_INVALID).
    """
    tls = settings.read_server_tls()
    if tls is None:
        yield None
        return
    async with open_background() as jobs:
        jobs.run(_watch(tls.certificates))
        yield tls


async def _watch(certificates: Certificates) -> None:
    told, told_at, told_of = "", 0.0, None
    while True:
        material, now = certificates.current(), time.time()
        text = remark(material.validity, now) if material.validity else ""
        is_due = now - told_at > _REMIND_SECONDS or material is not told_of
        if text and (is_due or not told):
            facts = {"not_after": int(material.validity.not_after)} if material.validity else {}
            logger.warning("%s", text, extra=facts)
            told_at, told_of = now, material
        told = text
        await asyncio.sleep(LOOK_SECONDS)


class TlsMetrics(Collector):
    """The metrics of a service's certificates; none where its ports are plain."""

    def __init__(self, tls: ServerTls | None) -> None:
        self._certificates = tls.certificates if tls else None

    def collect(self) -> Iterable[Metric]:
        """Every metric as it is now."""
        certificates = self._certificates
        if certificates is None:
            return ()
        material = certificates.current()
        end = GaugeMetricFamily(
            "headrace_tls_certificate_not_after_seconds",
            "When the certificate that is shown expires, in seconds since 1970.",
            value=material.validity.not_after if material.validity else 0.0,
        )
        usable = GaugeMetricFamily(
            "headrace_tls_files_usable",
            "1 while the TLS files are what is used, 0 while what was read before still is.",
            value=not certificates.problem,
        )
        reloads = CounterMetricFamily(
            "headrace_tls_reloads",
            "Changed TLS files that were taken, or refused since they cannot be used.",
            labels=("outcome",),
        )
        reloads.add_metric(("taken",), certificates.taken)
        reloads.add_metric(("refused",), certificates.refused)
        return (end, usable, reloads)

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance."""
        return ()
