"""The addresses of one service, and which of them the next call goes to: decisions without a clock."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

FIRST_REST_SECONDS = 0.2
LONGEST_REST_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class Endpoint:
    """One address: the calls that are there now, and what is known of it."""

    address: str
    in_flight: int = 0
    failures: int = 0
    """How often in a row it could not be reached, or was silent."""
    rests_until: float = 0.0
    silent: bool = False
    """Whether it took a call and answered nothing: it has to say that it lives before it gets another."""

    def failed(self, now: float, *, silent: bool = False) -> None:
        """It could not be reached, or was silent: for a while calls go elsewhere, if they can."""
        rest = min(LONGEST_REST_SECONDS, FIRST_REST_SECONDS * 2.0 ** min(self.failures, 16))
        self.failures += 1
        self.silent = self.silent or silent
        self.rests_until = now + rest

    def answered(self) -> None:
        """It answered, well or not."""
        self.failures, self.rests_until, self.silent = 0, 0.0, False


class Endpoints:
    """All addresses of a service. With `spread`, calls go to the one that has fewest; else to the first."""

    def __init__(self, addresses: Sequence[str], *, spread: bool) -> None:
        self.all = tuple(Endpoint(address) for address in addresses)
        self._spread = spread
        self._turn = 0

    @property
    def several(self) -> bool:
        """Return whether there is more than one."""
        return len(self.all) > 1

    def pick(self, now: float, tried: Collection[Endpoint] = ()) -> Endpoint:
        """Return where a call goes that failed at those `tried`: elsewhere, to what is well, if it can."""
        if not self.several:
            return self.all[0]
        untried = [each for each in self.all if each not in tried]
        well = [each for each in self.all if _is_well(each, now)]
        both = [each for each in well if each not in tried]
        return self._best(both or untried or well or self.all)

    def has_another(self, now: float, tried: Collection[Endpoint]) -> bool:
        """Return whether one is well that did not fail this call."""
        return any(_is_well(each, now) for each in self.all if each not in tried)

    def to_be_asked(self, now: float) -> list[Endpoint]:
        """Those that were silent and have rested: do they live?"""
        return [each for each in self.all if each.silent and each.rests_until <= now]

    def _best(self, candidates: Sequence[Endpoint]) -> Endpoint:
        if not self._spread:
            return candidates[0]
        self._turn += 1
        turn = self._turn % len(candidates)
        return min((*candidates[turn:], *candidates[:turn]), key=lambda each: each.in_flight)


def _is_well(endpoint: Endpoint, now: float) -> bool:
    return not endpoint.silent and endpoint.rests_until <= now
