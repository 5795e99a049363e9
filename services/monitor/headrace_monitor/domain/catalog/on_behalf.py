"""Somebody for whom the monitor asks another service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OnBehalf:
    """What he proves himself with ('': nothing), what he calls himself, why he asks, his request's id."""

    authorization: str = ""
    actor: str = ""
    reason: str = ""
    request_id: str = ""
