"""Derives from the settings what a replica holds for its callers at most."""

from __future__ import annotations

from headrace_inference.domain.ingress.limits import IngressLimits
from headrace_inference.settings import Settings


def ingress_limits(settings: Settings) -> IngressLimits:
    """The limits of all wires together."""
    return IngressLimits(
        settings.max_requests_in_flight, settings.max_bytes_in_flight, settings.max_message_bytes
    )
