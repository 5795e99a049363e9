"""Finds out, before anything starts, whether the front that is asked for can serve in a suite."""

from __future__ import annotations

from headrace import errors
from headrace.local.commands import SuiteOptions


def check_front(options: SuiteOptions) -> None:
    """Refuse the native front where it would have to speak TLS, which it cannot.

    Raises FailedPrecondition (FRONT_UNAVAILABLE), as a replica would after all others have started.
    """
    serves_tls = options.tls is not None and options.gateway is None
    if options.front == "native" and serves_tls and options.replicas:
        raise errors.FailedPrecondition(
            "FRONT_UNAVAILABLE",
            "--front native has no TLS of its own, and does not serve in plaintext where --tls-cert asks "
            "for TLS: put a gateway in front of it (--gateway), or leave --front at auto or grpcio",
        )
