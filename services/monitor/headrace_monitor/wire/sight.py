"""Has questions answered with what the present caller may see alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from headrace.security.access import Access
from headrace.security.callers import current_caller
from headrace.security.verbs import Verb
from headrace_monitor.domain.queries.query_engine import Query


class Sight:
    """The present caller's view of what is known."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def of(self, query: Query) -> Query:
        """Return his question: about the models that he may read."""
        identity = current_caller().identity
        if self._access.may(identity, Verb.READ, ""):
            return query
        # asked for every cell of a window; the question is over before rights change
        return replace(query, is_seen=cache(self._access.models_for(identity)))

    def models(self) -> Callable[[str], bool]:
        """Return what tells the models that he may read, also from another thread."""
        identity = current_caller().identity
        if self._access.may(identity, Verb.READ, ""):
            return _any
        return cache(self._access.models_for(identity))

    def verbs(self) -> Callable[[str], list[str]]:
        """Return what tells the verbs that he has for a model ('': for all), also from another thread."""
        identity, access = current_caller().identity, self._access

        def verbs_for(model: str) -> list[str]:
            return [verb.value for verb in _SHOWN if access.may(identity, verb, model)]

        return verbs_for


_SHOWN = (Verb.READ, Verb.INFER, Verb.PUSH, Verb.ROUTE, Verb.LABEL, Verb.DELETE, Verb.ADMIN)


def _any(_: str) -> bool:
    return True
