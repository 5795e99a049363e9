"""An access with keys of whoever a test needs, that changes as keys and grants do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from headrace.security.access import Access, Rights
from headrace.security.api_keys import ApiKey, digest_of, id_of, make_key
from headrace.security.policy import NO_LIMITS, Binding, CallLimits, Grant, Policy

Grants = Mapping[str, tuple[Grant, ...]]


class Keyring:
    """Keys of subjects and what was granted to them, in force in `access`."""

    def __init__(self, grants: Grants, **options: Any) -> None:
        self.access = Access(**options)
        self._keys: dict[str, str] = {}
        self.grants = dict(grants)
        self._ends: dict[str, float] = {}
        self.limits: dict[str, CallLimits] = {}
        for subject in grants:
            self.add(subject)

    def add(self, subject: str) -> str:
        """Give somebody a new key."""
        self._keys[subject] = make_key()
        self._apply()
        return self._keys[subject]

    def revoke(self, subject: str) -> None:
        """Take somebody's key."""
        del self._keys[subject]
        self._apply()

    def grant(self, subject: str, *grants: Grant) -> None:
        """Have somebody have these grants alone."""
        self.grants[subject] = grants
        self._apply()

    def expire(self, subject: str, at: float) -> None:
        """Have somebody's key end then, in seconds since the epoch."""
        self._ends[subject] = at
        self._apply()

    def limit(self, subject: str, limits: CallLimits) -> None:
        """Have somebody ask no more than that of a replica."""
        self.limits[subject] = limits
        self._apply()

    def headers(self, subject: str) -> dict[str, str]:
        """What somebody sends; nothing for ''."""
        return {"authorization": f"Bearer {self._keys[subject]}"} if subject else {}

    def metadata(self, subject: str) -> list[tuple[str, str]]:
        """What somebody sends over gRPC."""
        return list(self.headers(subject).items())

    def _apply(self) -> None:
        keys = (
            ApiKey(id_of(key), who, digest_of(key), self._ends.get(who, math.inf))
            for who, key in self._keys.items()
        )
        bindings = {
            who: Binding(grants, self.limits.get(who, NO_LIMITS))
            for who, grants in self.grants.items()
        }
        policy = replace(Policy(), bindings=bindings)
        self.access.rights = Rights({key.digest: key for key in keys}, policy)


def read(*models: str) -> tuple[Grant, ...]:
    """Grants to look at models."""
    return (Grant("viewer", models),)
