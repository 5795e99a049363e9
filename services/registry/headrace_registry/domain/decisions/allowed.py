"""The checks that a caller may insist on skipping."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowed:
    """The checks that are skipped: the signature's, that some replica serves the version, the gate's."""

    signature_change: bool = False
    unready: bool = False
    gate_failure: bool = False


NOTHING_ALLOWED = Allowed()
