"""Runs a retraining, step by step: each is noted, and a run that was cut goes on where it was."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from headrace import errors
from headrace.client import AsyncClient
from headrace.lifecycle.retraining import steps, traffic
from headrace.lifecycle.retraining.endings import tell_ending
from headrace.lifecycle.retraining.folders import remove_old_runs
from headrace.lifecycle.retraining.healing import ends_run, heals, is_lost, patiently
from headrace.lifecycle.retraining.journal import Event, Journal, Outcome, Run, Step
from headrace.lifecycle.retraining.lease import UNDER_WAY, Lease
from headrace.lifecycle.retraining.plan import Plan, digest_of, seconds
from headrace.lifecycle.retraining.working import Done, Ended, Working

Report = Callable[[Event], None]
Result = TypeVar("Result")
_LOOK_SECONDS = 30.0
_PARTING_SECONDS = 5.0


@dataclass(slots=True)
class Retraining:
    """A retraining file, with where it keeps its journal and whom it asks.

    `place` is the folder that the file lies in: commands and data are named from there. `file` is its name.
    """

    client: AsyncClient
    plan: Plan
    place: Path
    journal: Journal
    report: Report = lambda _: None
    told: Callable[[str], None] = lambda _: None
    """Is told what a step waits for, in a sentence."""
    clock: Callable[[], float] = time.time
    take_over: bool = False
    """Once: from whoever seems to be at it."""
    file: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the command is told besides."""

    async def run(self, because: str) -> Run:
        """Do a run, or go on with the one that was cut; give it as it ended.

        Raises FailedPrecondition (RETRAINING_UNDER_WAY), and what keeps a step from being done for longer
        than the file's patience: the run is not ended then, and goes on when asked again.
        """
        run = self.journal.unfinished
        if run is not None:
            self._check_origin(run)
        identity = run.id if run else self._new_id()
        lease = Lease(self.client, self.plan.model, identity, self.clock)
        try:
            await self._taken(lease, is_new=run is None)
        except errors.NotFound as error:
            if run is None:
                raise
            return self._end(run, Outcome.FAILED, f"{error.reason}: {error.message}")
        try:
            run = run or self._begin(identity, because)
            await self._run_to_its_end(run, lease)
        finally:
            await _given_back(lease)
        await self._part_from(run)
        return run

    async def abandon(self) -> Run | None:
        """End the run that was cut without going on with it: taking its trial back. None where none is."""
        run = self.journal.unfinished
        if run is None:
            return None
        work = self._working(run)
        with suppress(errors.NotFound, errors.FailedPrecondition):
            await traffic.clean_up(work)
        await _given_back(Lease(self.client, self.plan.model, run.id, self.clock))
        self._end(run, Outcome.FAILED, "abandoned")
        await self._part_from(run)
        return run

    async def _taken(self, lease: Lease, *, is_new: bool) -> None:
        if is_new:
            with suppress(errors.AlreadyExists):
                await self._patiently(lambda: self.client.create_model(self.plan.model), "the run")
        over, self.take_over = self.take_over, False
        await self._patiently(lambda: lease.take(over=over), "the run")

    async def _run_to_its_end(self, run: Run, lease: Lease) -> None:
        work = self._working(run)
        try:
            await self._while_held(work, lease)
        except Ended as ended:
            await self._cleaned(work, ended.outcome)
            self._end(run, ended.outcome, ended.said)
        except errors.HeadraceError as error:
            if not ends_run(error):
                raise
            outcome = Outcome.REJECTED if error.reason == "GATE_NOT_PASSED" else Outcome.FAILED
            await self._cleaned(work, outcome)
            step = f"{run.begun.step}: " if run.begun else ""
            said = f"{step}{error.reason}: {error.message}"
            self._end(run, outcome, f"another run took over: {said}" if is_lost(error) else said)

    async def _while_held(self, work: Working, lease: Lease) -> None:
        """Do the steps while the model is this run's: who loses it stops at once."""
        try:
            async with asyncio.TaskGroup() as group:
                renewal = group.create_task(_renewed(lease))
                await self._steps(work, lease)
                renewal.cancel()
        except ExceptionGroup as errors_of:
            raise errors_of.exceptions[0] from None

    async def _steps(self, work: Working, lease: Lease) -> None:
        run = work.run
        while (step := run.next_step) is not None:
            await self._noted(Event(run=run.id, at=self.clock(), step=step))
            said, facts = await self._done(work, lease, step)
            done = Event(
                run=run.id, at=self.clock(), step=step, done=True, said=said, facts=dict(facts)
            )
            await self._noted(done)
        self._end(run, Outcome.PROMOTED, f"version {run.facts['version']} of {self.plan.model}")

    async def _done(self, work: Working, lease: Lease, step: Step) -> Done:
        async def attempt() -> Done:
            if step in (Step.CANARY, Step.PROMOTE):
                await lease.take()  # nothing gets traffic by a run that has lost the model
            return await steps.do(work, step)

        return await self._patiently(attempt, str(step))

    async def _cleaned(self, work: Working, outcome: Outcome) -> None:
        """Take back what a run that is not promoted changed; what is not there any more needs nothing."""
        if outcome is Outcome.PROMOTED:
            return
        with suppress(errors.NotFound, errors.FailedPrecondition, errors.PermissionDenied):
            await self._patiently(lambda: _after(work, outcome), "taking back")

    async def _patiently(self, action: Callable[[], Awaitable[Result]], what: str) -> Result:
        patience = seconds(self.plan.patience, "patience")
        return await patiently(action, what, patience, self.told)

    def _working(self, run: Run) -> Working:
        return Working(
            self.client,
            self.plan,
            self.place,
            run,
            self.journal.work_folder(run.id),
            self._since(run),
            self.told,
            self.clock,
            self.environment,
        )

    def _new_id(self) -> str:
        began = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self.clock()))
        return f"{began}-{uuid.uuid4().hex[:6]}"

    def _begin(self, identity: str, because: str) -> Run:
        origin = {"model": self.plan.model, "file": self.file, "plan": digest_of(self.plan)}
        return self._note(Event(run=identity, at=self.clock(), because=because, facts=origin))

    def _check_origin(self, run: Run) -> None:
        """Refuse to go on with the run of another file; tell of one that was changed."""
        model = run.origin.get("model", self.plan.model)
        file = run.origin.get("file", self.file)
        if (model, file) != (self.plan.model, self.file):
            raise errors.FailedPrecondition(
                UNDER_WAY,
                f"run {run.id} of {file!r} for {model!r} was cut and is not ended: go on with it, or name "
                "another folder with --state",
            )
        if run.origin.get("plan", "") not in ("", digest_of(self.plan)):
            self.told(f"the file was changed since run {run.id} began: what is not done goes by it")

    def _since(self, run: Run) -> float:
        """When the last run began that was promoted: what came later, no version in use has seen."""
        earlier = [
            each.began_at
            for each in self.journal.runs.values()
            if each.id != run.id and each.ended and each.ended.outcome is Outcome.PROMOTED
        ]
        return max(earlier, default=0.0)

    async def _part_from(self, run: Run) -> None:
        """Tell how it ended, with its version and to the command for that; keep the newest folders."""
        remove_old_runs(self.journal, self.plan.keep_runs)
        try:
            await tell_ending(self._working(run))
        except errors.HeadraceError as error:
            self.told(f"how the run ended is not told: {error.reason}: {error.message}")

    def _end(self, run: Run, outcome: Outcome, said: str) -> Run:
        return self._note(Event(run=run.id, at=self.clock(), outcome=outcome, said=said))

    async def _noted(self, event: Event) -> None:
        """Note an event; a disk that is full for a while costs no work that is done."""

        async def attempt() -> Run:
            return self._note(event)

        await self._patiently(attempt, "the journal")

    def _note(self, event: Event) -> Run:
        run = self.journal.note(event)
        self.report(event)
        return run


async def _after(work: Working, outcome: Outcome) -> None:
    """A run that failed leaves the route as before; one whose trial was ended leaves what a person set."""
    if outcome is Outcome.TAKEN_BACK:
        await traffic.end_trial(work)
    else:
        await traffic.clean_up(work)


async def _renewed(lease: Lease) -> None:
    """Keep the lease; a registry that is away for a while is no reason to stop."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            await lease.renew()
        except errors.HeadraceError as error:
            if not heals(error):
                raise


async def _given_back(lease: Lease) -> None:
    """Give the lease back, if the registry is there: a run that is cut holds up nobody else."""
    with suppress(errors.HeadraceError, TimeoutError):
        async with asyncio.timeout(_PARTING_SECONDS):
            await lease.give_back()
