"""What a caller insists on though it breaks others, or waits for what may never come."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowed:
    """Whether a name may move to a version of another signature, and to one that no replica serves."""

    signature_change: bool = False
    unready: bool = False


NOTHING_ALLOWED = Allowed()
