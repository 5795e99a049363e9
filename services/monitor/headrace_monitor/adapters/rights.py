"""Who may ask the monitor, as the registry tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge

from headrace.security.access import Access
from headrace.service.access import open_access
from headrace.service.serving import open_background
from headrace.tls.peers import open_peer
from headrace_monitor.settings import Settings


@dataclass(frozen=True, slots=True)
class FollowedRights:
    """What decides, and the facts of where it comes from; none where everybody may do everything."""

    access: Access
    facts: Callable[[], Mapping[str, object]] = dict

    @property
    def are_known(self) -> bool:
        """Return whether anybody could be let in."""
        return self.access.has_rights or not self.access.is_on


@asynccontextmanager
async def open_rights(
    settings: Settings, metrics: CollectorRegistry
) -> AsyncIterator[FollowedRights]:
    """What decides while inside, following the registry; without it, as it was told last.

    Raises FailedPrecondition where the identity file, the files of TLS or the token cannot be used.
    """
    with open_access(settings, metrics) as access:
        if not access.is_on:
            yield FollowedRights(access)
            return
        # those who follow nothing do not pay for it: it knows the records of the shared state
        from headrace.access_feed.rights_feed import RIGHTS_FILE, RightsFeed

        async with (
            open_peer(settings.registry_address, settings) as registry,
            open_background() as jobs,
        ):
            feed = RightsFeed(registry, access, settings.data / RIGHTS_FILE)
            Gauge(
                "headrace_monitor_rights_followed",
                "1 while the registry tells of changes of keys, roles and grants.",
                registry=metrics,
            ).set_function(lambda: feed.connected)
            jobs.run(feed.run())
            yield FollowedRights(access, feed.facts)
