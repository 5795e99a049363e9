"""What is kept for callers who have not read their answers."""

from __future__ import annotations

from headrace_inference.domain.ingress.budget import InFlightBudget
from headrace_inference.domain.ingress.limits import IngressLimits
from headrace_inference.wire.native.outbound_backlog import REFRESH_BYTES, OutboundBacklog


def test_an_error_may_end_a_call_when_it_is_time_to_look() -> None:
    """Another thread's answers made it time, and it has not looked yet; an error has no answers."""
    budget = InFlightBudget(IngressLimits())
    backlog = OutboundBacklog(lambda: None, lambda: 0, budget)
    backlog.given = REFRESH_BYTES
    backlog.add(())
    assert 2 * REFRESH_BYTES == backlog.refresh_at
