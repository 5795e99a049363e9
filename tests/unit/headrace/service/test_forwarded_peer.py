"""The address of a caller that a gateway tells of."""

from __future__ import annotations

import pytest

from headrace.service.forwarded_peer import forwarded_peer


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (["10.0.0.9"], "ipv4:10.0.0.9"),
        (["1.2.3.4, 10.0.0.9"], "ipv4:10.0.0.9"),  # the first is what the caller wrote
        (["1.2.3.4", "10.0.0.9"], "ipv4:10.0.0.9"),
        (["2001:DB8::1"], "ipv6:[2001:db8::1]"),
        (["10.0.0.9, somewhere"], ""),
        ([""], ""),
        ([], ""),
    ],
)
def test_the_last_address_is_what_the_gateway_saw(told: list[str], expected: str) -> None:
    """Callers may write others before it."""
    metadata = [("x-forwarded-for", one) for one in told]
    assert expected == forwarded_peer([("user-agent", "x"), *metadata])
