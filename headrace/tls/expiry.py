"""Says when a certificate's end is near enough to be told."""

from __future__ import annotations

from headrace.tls.validity import Validity

LONGEST_WARNING_SECONDS = 14 * 86_400.0
_SHARE_OF_LIFE = 0.2
"""A certificate that is renewed every hour must not warn all its life."""


def is_near(validity: Validity, now: float) -> bool:
    """Return whether it should have been renewed: in the last fifth of its life, 14 days at most."""
    life = validity.not_after - validity.not_before
    return validity.not_after - now < min(LONGEST_WARNING_SECONDS, life * _SHARE_OF_LIFE)


def remark(validity: Validity, now: float) -> str:
    """What to say of a certificate that needs to be renewed; '' of one that does not."""
    if now < validity.not_before:
        return (
            "the TLS certificate is not valid yet: callers refuse it; look at this machine's clock"
        )
    left = validity.not_after - now
    if left <= 0:
        return "the TLS certificate has expired: callers refuse it; renew it, it is taken without a restart"
    if not is_near(validity, now):
        return ""
    time_left = f"{left / 86_400:.0f} days" if left >= 2 * 86_400 else f"{left / 3600:.1f} hours"
    return f"the TLS certificate expires in {time_left}; renew it, it is taken without a restart"
