"""Runs a retraining, step by step: each is noted, and a run that was cut goes on where it was."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from headrace import errors
from headrace.client import AsyncClient
from headrace.lifecycle.retraining.folders import remove_old_runs
from headrace.lifecycle.retraining.journal import Event, Journal, Outcome, Run, Step
from headrace.lifecycle.retraining.lease import Lease
from headrace.lifecycle.retraining.plan import Plan
from headrace.lifecycle.retraining.steps import Ended, Steps

Report = Callable[[Event], None]


@dataclass(slots=True)
class Retraining:
    """A retraining file, with where it keeps its journal and whom it asks.

    `place` is the folder that the file lies in: commands and data are named from there.
    """

    client: AsyncClient
    plan: Plan
    place: Path
    journal: Journal
    report: Report = lambda _: None
    clock: Callable[[], float] = time.time
    take_over: bool = False

    async def run(self, because: str) -> Run:
        """Do a run, or go on with the one that was cut; give it as it ended.

        Raises FailedPrecondition (RETRAINING_UNDER_WAY), and what keeps a step from being done and may heal
        (Unavailable, DeadlineExceeded, OSError): the run is not ended then, and goes on when asked again.
        """
        run = self._unfinished() or self._begin(because)
        with suppress(errors.AlreadyExists):
            await self.client.create_model(self.plan.model)
        lease = Lease(self.client, self.plan.model, run.id, self.clock)
        await lease.take(over=self.take_over)
        renewal = asyncio.create_task(_renewed(lease))
        try:
            await self._steps(run)
        finally:
            renewal.cancel()
            with suppress(asyncio.CancelledError, errors.HeadraceError):
                await renewal
        await lease.give_back()
        remove_old_runs(self.journal, self.plan.keep_runs)
        return run

    def _unfinished(self) -> Run | None:
        newest = self.journal.newest
        return newest if newest is not None and newest.ended is None else None

    def _begin(self, because: str) -> Run:
        identity = (
            f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(self.clock()))}-{uuid.uuid4().hex[:6]}"
        )
        return self._note(Event(run=identity, at=self.clock(), because=because))

    async def _steps(self, run: Run) -> None:
        steps = Steps(
            self.client,
            self.plan,
            self.place,
            run,
            self.journal.work_folder(run.id),
            self._since(run),
        )
        while (step := run.next_step) is not None:
            self._note(Event(run=run.id, at=self.clock(), step=step))
            try:
                said, facts = await steps.do(step)
            except Ended as ended:
                self._end(run, ended.outcome, ended.said)
                return
            except errors.HeadraceError as error:
                if not _is_final(error):
                    raise
                await steps.clean_up()
                self._end(run, _outcome(error), f"{step}: {error.reason}: {error.message}")
                return
            self._note(
                Event(
                    run=run.id, at=self.clock(), step=step, done=True, said=said, facts=dict(facts)
                )
            )
        self._end(run, Outcome.PROMOTED, f"version {run.facts['version']} of {self.plan.model}")

    def _since(self, run: Run) -> float:
        """When the last run began that got as far as a version: newer data are new."""
        earlier = [
            each.began_at
            for each in self.journal.runs.values()
            if each.id != run.id and Step.PUSH in each.done
        ]
        return max(earlier, default=0.0)

    def _end(self, run: Run, outcome: Outcome, said: str) -> None:
        self._note(Event(run=run.id, at=self.clock(), outcome=outcome, said=said))

    def _note(self, event: Event) -> Run:
        run = self.journal.note(event)
        self.report(event)
        return run


def _is_final(error: errors.HeadraceError) -> bool:
    """Return whether it would be the same tomorrow."""
    final = (
        errors.InvalidArgument,
        errors.FailedPrecondition,
        errors.NotFound,
        errors.AlreadyExists,
    )
    return (
        isinstance(error, (*final, errors.PermissionDenied)) or error.reason == "VERSION_NOT_READY"
    )


def _outcome(error: errors.HeadraceError) -> Outcome:
    return Outcome.REJECTED if error.reason == "GATE_NOT_PASSED" else Outcome.FAILED


async def _renewed(lease: Lease) -> None:
    """Keep the lease; a registry that is away for a while is no reason to stop."""
    while True:
        await asyncio.sleep(30)
        with suppress(errors.Unavailable, errors.DeadlineExceeded):
            await lease.renew()
