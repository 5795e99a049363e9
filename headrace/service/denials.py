"""Notes in the log who was refused to change something: a few at a time, and how many more there were."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from headrace.security.callers import Caller
from headrace.security.model_names import shortened
from headrace.security.verbs import Verb

logger = logging.getLogger(__name__)

CHANGING = frozenset({Verb.PUSH, Verb.ROUTE, Verb.LABEL, Verb.DELETE, Verb.ADMIN})
MOST_RECORDS = 20
WINDOW_SECONDS = 10.0
"""So many records in so long: who tries a million times fills no disk."""
_MODELS_NAMED = 5


class DenialLog:
    """The denials of one server."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._written = 0
        self._left_out = 0

    def note(self, caller: Caller, method: str, verb: Verb, models: Iterable[str]) -> None:
        """Take a denial of something that would have changed what others see; others are passed over."""
        if verb not in CHANGING or not self._has_room():
            return
        facts = {
            "actor": caller.actor,
            "proof": str(caller.identity.proof),
            "proved_by": caller.identity.detail,
            "claim": caller.claim,
            "peer": caller.peer,
            "method": shortened(method),
            "verb": str(verb),
            "models": [shortened(model) for model in models if model][:_MODELS_NAMED],
            "left_out": self._left_out,
        }
        self._left_out = 0
        logger.warning("a call that changes or administers was denied", extra=facts)

    def _has_room(self) -> bool:
        now = self._clock()
        if now - self._began >= WINDOW_SECONDS:
            self._began, self._written = now, 0
        if self._written >= MOST_RECORDS:
            self._left_out += 1
            return False
        self._written += 1
        return True
