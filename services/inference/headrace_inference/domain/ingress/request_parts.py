"""Tells to which parts of a version's requests one belongs: to slices, and to those of its caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headrace.errors import HeadraceError
from headrace.telemetry.parts import OTHER_VALUE, Part
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.ingress.callers import Callers, NotVerified
from headrace_inference.domain.sampling.slices import Slicing, slices_of
from headrace_inference.domain.scheduling.requests import Asked
from headrace_inference.domain.versions.part_counts import TellApart

MAX_CALLERS = 50
"""Told apart, over all versions; all others are `_other`."""

MAX_SUBJECT_LENGTH = 200

PartOf = Callable[[Asked], Part]


def telling_apart(by: Sequence[Slicing], caller: PartOf | None) -> TellApart | None:
    """Give what tells requests apart by slices, and by their callers; None where nothing does."""
    if not by and caller is None:
        return None

    def parts_of(asked: Asked | None) -> Sequence[Part]:
        if asked is None:
            return ()
        parts = [Part("slice", each) for each in slices_of(asked, by)]
        if caller is not None:
            parts.append(caller(asked))
        return parts

    return parts_of


class CallerParts:
    """The subjects that asked for anything, the first MAX_CALLERS. Any thread may ask."""

    def __init__(self, callers: Callers, clock: Clock) -> None:
        self._callers = callers
        self._clock = clock
        self._known: dict[str, Part] = {}

    def __call__(self, asked: Asked) -> Part:
        """The part of who asked; `_other` where that can be told no more."""
        subject = self._subject_of(asked)
        found = self._known.get(subject)
        if found is None:
            is_full = len(self._known) >= MAX_CALLERS
            found = Part("caller", OTHER_VALUE if is_full else subject[:MAX_SUBJECT_LENGTH])
            if not is_full:
                self._known[subject] = found
        return found

    def _subject_of(self, asked: Asked) -> str:
        try:
            now_ns = self._clock.monotonic_ns()
            caller = self._callers.caller(asked.metadata, now_ns, asked.certificate)
        except (HeadraceError, NotVerified):
            return OTHER_VALUE
        return caller.identity.subject or OTHER_VALUE
