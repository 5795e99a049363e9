"""What the steps of a run share: whom they ask, what is known so far, how the route is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headrace import errors
from headrace.client import AsyncClient, Route
from headrace.lifecycle.retraining.journal import Outcome, Run
from headrace.lifecycle.retraining.plan import Plan

Done = tuple[str, Mapping[str, str]]
"""What a step found, for people, and what later steps need to know."""
Change = Callable[[Route], Route]
_ROUTE_TRIES = 5
_LONGEST_REASON = 500


class Ended(Exception):
    """A run ends before its last step, as it should."""

    def __init__(self, outcome: Outcome, said: str) -> None:
        super().__init__(said)
        self.outcome = outcome
        self.said = said


@dataclass(slots=True)
class Working:
    """One run at work."""

    client: AsyncClient
    plan: Plan
    place: Path
    run: Run
    folder: Path
    since: float
    told: Callable[[str], None]
    clock: Callable[[], float]
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the command is told besides, such as the addresses of the suite."""

    @property
    def version(self) -> int:
        """The number of the version that the run pushed."""
        return int(self.run.facts["version"])

    @property
    def out(self) -> Path:
        """Where the command wrote."""
        return Path(self.run.facts["out"])

    @property
    def before(self) -> int:
        """The stable version that the new one was compared with; 0 where none was."""
        facts = self.run.facts
        found = int(facts.get("against", facts.get("parent", "0")))
        return 0 if found == self.version else found

    def because(self, what: str) -> AsyncClient:
        """A client whose changes say which run made them, and why."""
        said = " ".join(f"retraining {self.run.id}: {what}".split())
        return self.client.because(said[:_LONGEST_REASON])

    async def stable(self) -> int:
        """The stable version now; 0 where there is none."""
        try:
            return (await self.client.route(self.plan.model)).stable
        except (errors.NotFound, errors.FailedPrecondition):
            return 0

    async def move(self, what: str, change: Change) -> None:
        """Change the route as it is at that moment: who else changed it meanwhile is not undone."""
        for attempt in range(_ROUTE_TRIES):
            before = await self.client.route(self.plan.model)
            wanted = change(before)
            if wanted == before:
                return
            try:
                await self.because(what).put_route(wanted)
            except errors.Aborted:
                if attempt == _ROUTE_TRIES - 1:
                    raise
                continue
            return

    async def check_version(self) -> None:
        """Pass if the version is the one that was pushed. Raises NotFound, Ended."""
        found = await self.client.version(self.plan.model, self.version)
        made = self.run.facts.get("made", "")
        if made and made != moment_of(found.created_at):
            said = f"version {self.version} is another one than was pushed: the model was made anew"
            raise Ended(Outcome.FAILED, said)


def moment_of(created_at: float) -> str:
    """A time as the journal keeps it."""
    return f"{created_at:.6f}"
