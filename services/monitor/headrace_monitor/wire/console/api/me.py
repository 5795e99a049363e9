"""GET /api/v1/me: who calls, and what he may do, so that a page hides the rest."""

from __future__ import annotations

import math
from collections.abc import Iterable

from headrace.security.access import Access
from headrace.security.callers import current_caller
from headrace.security.identities import Identity
from headrace.security.policy import BUILT_IN_ROLES
from headrace.security.verbs import Verb
from headrace.service.http.requests import Request
from headrace_monitor.wire.console.api.api import Api, Make
from headrace_monitor.wire.sight import Sight


class MeApi:
    """Answers who calls."""

    def __init__(self, access: Access, sight: Sight, namespace: str) -> None:
        self._access = access
        self._sight = sight
        self._namespace = namespace

    def add_to(self, api: Api) -> None:
        """Add the route."""
        api.get("/me", self._me)

    async def _me(self, _: Request) -> Make:
        caller, verbs = current_caller(), self._sight.verbs()
        identity = caller.identity

        def make() -> object:
            return {
                "subject": identity.subject if self._access.is_on else caller.actor,
                "proof": identity.proof.value,
                "enforced": self._access.is_on,
                "namespace": self._namespace,
                "rights": self._rights(identity),
                "may_everywhere": verbs(""),
                "ends_at": None if math.isinf(identity.expires_at) else identity.expires_at,
            }

        return make

    def _rights(self, identity: Identity) -> dict[str, list[str]]:
        """The patterns of models by verb."""
        if not self._access.is_on:
            return {verb.value: ["*"] for verb in Verb if verb is not Verb.SERVICE}
        found: dict[str, dict[str, None]] = {}
        for verb, pattern in self._granted(identity):
            found.setdefault(verb.value, {})[pattern] = None
        return {verb: [*patterns] for verb, patterns in sorted(found.items())}

    def _granted(self, identity: Identity) -> Iterable[tuple[Verb, str]]:
        policy = self._access.rights.policy
        for subject in identity.subjects:
            binding = policy.bindings.get(subject)
            for grant in binding.grants if binding else ():
                role = BUILT_IN_ROLES.get(grant.role) or policy.roles.get(grant.role)
                for rule in role.rules if role else ():
                    for verb in rule.verbs:
                        yield from (
                            (verb, _both(own, of)) for own in grant.models for of in rule.models
                        )


def _both(own: str, of: str) -> str:
    if own == "*" or own == of:
        return of
    return own if of == "*" else f"{own} & {of}"
