"""Has questions answered with what the present caller may see alone."""

from __future__ import annotations

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
