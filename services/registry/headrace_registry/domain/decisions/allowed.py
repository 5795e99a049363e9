"""The checks that a caller may insist on skipping."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowed:
    """The checks that are skipped: the signature's, and that some replica serves the version."""

    signature_change: bool = False
    unready: bool = False


NOTHING_ALLOWED = Allowed()
