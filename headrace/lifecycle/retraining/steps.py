"""The steps of a run. Each may be done again: what an earlier attempt did is found, and not repeated."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from headrace import errors
from headrace.client import AsyncClient, Route
from headrace.lifecycle.retraining import route_moves
from headrace.lifecycle.retraining.commands import LOG, end_leftover, run_command
from headrace.lifecycle.retraining.folders import new_out
from headrace.lifecycle.retraining.journal import Outcome, Run, Step
from headrace.lifecycle.retraining.judging import judged
from headrace.lifecycle.retraining.plan import Plan, seconds
from headrace.lifecycle.retraining.trial import Next, Seen, decide
from headrace.state.annotation_records import Lineage

RUN_TAG = "retraining_run"
"""The tag of versions that a run made: its id."""
FACTS = "facts.json"
"""The command may write it: metrics, tags, data_digest, source_revision, training_run, facts."""
_ROUTE_TRIES = 5
_NEWEST = 20
"""Versions among which that of a run is looked for."""
Done = tuple[str, Mapping[str, str]]
Change = Callable[[Route], Route]


class Ended(Exception):
    """A run ends before its last step, as it should."""

    def __init__(self, outcome: Outcome, said: str) -> None:
        super().__init__(said)
        self.outcome = outcome
        self.said = said


@dataclass(slots=True)
class Steps:
    """The steps of one run."""

    client: AsyncClient
    plan: Plan
    place: Path
    run: Run
    folder: Path
    since: float

    async def do(self, step: Step) -> Done:
        """Do a step: what came of it, and what later ones need. Raises Ended, HeadraceError."""
        steps = {
            Step.TRAIN: self._train,
            Step.PUSH: self._push,
            Step.EVALUATE: self._evaluate,
            Step.GATE: self._gate,
            Step.CANARY: self._canary,
            Step.OBSERVE: self._observe,
            Step.PROMOTE: self._promote,
        }
        return await steps[step]()

    async def clean_up(self) -> None:
        """End the trial of the version, if there is one: a run that failed leaves no canary behind."""
        if "version" in self.run.facts:
            await self._move(
                f"run failed: version {self._version} is taken back", _taken_back(self._version)
            )

    @property
    def _version(self) -> int:
        return int(self.run.facts["version"])

    @property
    def _out(self) -> Path:
        return Path(self.run.facts["out"])

    def _because(self, what: str) -> AsyncClient:
        return self.client.because(f"retraining {self.run.id}: {what}"[:500])

    async def _train(self) -> Done:
        log = self.folder / LOG
        self.folder.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(end_leftover, log)
        out, began = new_out(self.folder), time.monotonic()
        parent = await self._stable()
        environment = {
            "HEADRACE_OUT": str(out),
            "HEADRACE_RUN": self.run.id,
            "HEADRACE_MODEL": self.plan.model,
            "HEADRACE_BECAUSE": self.run.because,
            "HEADRACE_SINCE": f"{self.since:.3f}",
            "HEADRACE_PARENT_VERSION": str(parent),
            **self.plan.train.environment,
        }
        timeout = seconds(self.plan.train.timeout, "train.timeout")
        command = [
            sys.executable if word == "{python}" else word for word in self.plan.train.command
        ]
        await run_command(command, self.place, environment, log, timeout)
        if not (out / self.plan.train.model).exists():
            raise errors.FailedPrecondition(
                "TRAINING_FAILED",
                f"the command ended well and wrote no {self.plan.train.model} into HEADRACE_OUT ({out}): "
                f"what it printed is in {log}",
            )
        facts = {"out": str(out), "parent": str(parent)}
        return f"{shlex.join(command)}: {time.monotonic() - began:.0f} s", facts

    async def _push(self) -> Done:
        found = await self._pushed()
        if found is None:
            told = _told(self._out / FACTS)
            pushed = await self._because("push").push(
                self.plan.model,
                self._out / self.plan.train.model,
                config=self.plan.push.config or None,
                description=self.plan.push.description,
                request_id=str(uuid5(NAMESPACE_OID, f"{self.run.id} push")),
            )
            found = pushed.number
            await self._because("push").annotate(
                self.plan.model,
                found,
                tags={**told.get("tags", {}), **self.plan.push.tags, RUN_TAG: self.run.id},
                metrics=told.get("metrics", {}),
                lineage=self._lineage(told),
            )
        within = seconds(self.plan.ready_within, "ready_within")
        await self.client.wait_until_ready(self.plan.model, found, timeout_seconds=within)
        return f"version {found} is loaded", {"version": str(found)}

    async def _pushed(self) -> int | None:
        """The version that an earlier attempt pushed, or None."""
        for version in (await self.client.versions(self.plan.model))[:_NEWEST]:
            said = await self.client.annotations(self.plan.model, version.number)
            if said.tags.get(RUN_TAG) == self.run.id:
                return version.number
        return None

    def _lineage(self, told: Mapping[str, Any]) -> Lineage:
        facts = {str(name): str(value) for name, value in told.get("facts", {}).items()}
        return Lineage(
            parent_version=int(self.run.facts["parent"]),
            method="retrain",
            command=shlex.join(self.plan.train.command),
            source_revision=str(told.get("source_revision", "")),
            data_digest=str(told.get("data_digest", "")),
            training_run=str(told.get("training_run", self.run.id)),
            facts={"because": self.run.because[:500], **facts},
        )

    async def _evaluate(self) -> Done:
        if self.plan.evaluate is None:
            return "nothing is asked", {}
        judgement = await judged(
            self.client, self.plan.model, self.plan.evaluate, (self._out, self.place), self._version
        )
        return judgement.said, {"verdict": "\n".join(judgement.failed)}

    async def _gate(self) -> Done:
        failed = [line for line in self.run.facts.get("verdict", "").split("\n") if line]
        if failed:
            raise Ended(Outcome.REJECTED, f"version {self._version}: {'; '.join(failed)}")
        return "passed", {}

    async def _canary(self) -> Done:
        if self.plan.canary is None:
            return "no trial is asked for", {}
        weight = self.plan.canary.weight
        await self._move(f"{weight:g} % of the traffic", _on_trial(self._version, weight))
        return f"{weight:g} % of the requests", {"trial_began": f"{time.time():.3f}"}

    async def _observe(self) -> Done:
        canary = self.plan.canary
        if canary is None:
            return "no trial was asked for", {}
        while True:
            decision = decide(canary, await self._seen())
            if decision.next is Next.PROMOTE:
                return decision.why, {}
            if decision.next is Next.BACK:
                await self._move(f"taken back: {decision.why}", _taken_back(self._version))
                raise Ended(Outcome.TAKEN_BACK, f"version {self._version}: {decision.why}")
            await self._check_trial()
            await asyncio.sleep(seconds(canary.poll, "canary.poll"))

    async def _seen(self) -> Seen:
        began = float(self.run.facts["trial_began"])
        passed = max(1.0, time.time() - began)
        try:
            statistics = await self.client.statistics(passed, self.plan.model, self._version)
            alerts = await self.client.alerts(self.plan.model, state="firing")
        except errors.HeadraceError:
            return Seen(passed, 0, 0, is_known=False)
        versions = [each for each in statistics.versions if each.version == self._version]
        answered = sum(each.success_count for each in versions)
        wrong = sum(each.error_count - each.left_count for each in versions)
        mine = tuple(alert for alert in alerts if alert.version == self._version)
        return Seen(passed, answered + wrong, wrong, mine)

    async def _check_trial(self) -> None:
        """A person who ends the trial, or makes the version stable, has decided."""
        route = await self.client.route(self.plan.model)
        if self._version == route.stable:
            raise Ended(
                Outcome.PROMOTED, f"version {self._version} was made stable by somebody else"
            )
        trials = [one.version for one in (route.canary, *route.more_canaries) if one is not None]
        if self._version not in trials:
            raise Ended(
                Outcome.TAKEN_BACK,
                f"the trial of version {self._version} was ended by somebody else",
            )

    async def _promote(self) -> Done:
        promote, moved = self.plan.promote, []
        if promote.route:
            await self._move("promoted", _promoted(self._version))
            moved.append("the route")
        elif self.plan.canary is not None:
            await self._move("the trial is over", _taken_back(self._version))
        if promote.aliases:
            aliases = dict.fromkeys(promote.aliases, self._version)
            await self._because("promoted").set_aliases(self.plan.model, aliases)
            moved += [f"alias {name}" for name in promote.aliases]
        return f"version {self._version}: {', '.join(moved) or 'nothing names it'}", {}

    async def _stable(self) -> int:
        try:
            return (await self.client.route(self.plan.model)).stable
        except (errors.NotFound, errors.FailedPrecondition):
            return 0

    async def _move(self, what: str, change: Change) -> None:
        """Change the route as it is at that moment: who else changed it meanwhile is not undone."""
        for attempt in range(_ROUTE_TRIES):
            before = await self.client.route(self.plan.model)
            wanted = change(before)
            if wanted == before:
                return
            try:
                await self._because(what).put_route(wanted)
            except errors.Aborted:
                if attempt == _ROUTE_TRIES - 1:
                    raise
                continue
            return


def _on_trial(version: int, weight: float) -> Change:
    return lambda route: route_moves.with_trial(route, version, weight)


def _taken_back(version: int) -> Change:
    return lambda route: route_moves.without_trial(route, version)


def _promoted(version: int) -> Change:
    return lambda route: route_moves.promoted(route, version)


def _told(path: Path) -> Mapping[str, Any]:
    """What the command wrote about its model. Raises FailedPrecondition (TRAINING_FAILED)."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise errors.FailedPrecondition("TRAINING_FAILED", f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise errors.FailedPrecondition("TRAINING_FAILED", f"{path} holds no JSON object")
    return found
