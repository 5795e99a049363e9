"""The steps of a run. Each may be done again: what an earlier attempt did is found, and not repeated."""

from __future__ import annotations

from headrace.lifecycle.retraining import traffic, training
from headrace.lifecycle.retraining.journal import Outcome, Step
from headrace.lifecycle.retraining.judging import judged
from headrace.lifecycle.retraining.working import Done, Ended, Working


async def do(work: Working, step: Step) -> Done:
    """Do a step: what came of it, and what later ones need. Raises Ended, HeadraceError."""
    steps = {
        Step.TRAIN: training.train,
        Step.PUSH: training.push,
        Step.EVALUATE: _evaluate,
        Step.GATE: _gate,
        Step.CANARY: traffic.begin_trial,
        Step.OBSERVE: traffic.observe,
        Step.PROMOTE: traffic.promote,
    }
    return await steps[step](work)


async def _evaluate(work: Working) -> Done:
    stable = await work.stable()
    facts = {"against": str(stable)}
    if work.plan.evaluate is None:
        return "nothing is asked", facts
    places = (work.out, work.place)
    client = work.because("evaluate")
    found = await judged(client, work.plan.model, work.plan.evaluate, places, work.version, stable)
    return found.said, {**facts, "verdict": "\n".join(found.failed)}


async def _gate(work: Working) -> Done:
    failed = [line for line in work.run.facts.get("verdict", "").split("\n") if line]
    if failed:
        raise Ended(Outcome.REJECTED, f"version {work.version}: {'; '.join(failed)}")
    return "passed", {}
