"""The last steps of a run: the trial with live requests, and the promotion.

Each reads the route again: a person who changes it meanwhile has decided. Nothing is promoted over a
stable version that the new one was not compared with.
"""

from __future__ import annotations

import asyncio
import time

from headrace import errors
from headrace.client import Route
from headrace.lifecycle.retraining import route_moves
from headrace.lifecycle.retraining.healing import heals
from headrace.lifecycle.retraining.journal import Outcome, Step
from headrace.lifecycle.retraining.plan import Canary, seconds
from headrace.lifecycle.retraining.trial import Next, Seen, decide
from headrace.lifecycle.retraining.working import Done, Ended, Working

_LONGEST_WINDOW_SECONDS = 30 * 86_400.0


async def begin_trial(work: Working) -> Done:
    """Put the version on trial. Raises FailedPrecondition (ROUTE_BUSY) beside another trial."""
    canary = work.plan.canary
    if canary is None:
        return "no trial is asked for", {}
    weight = canary.weight
    await work.check_version()

    def change(route: Route) -> Route:
        _check_stable(work, route)
        return route_moves.with_trial(route, work.version, weight)

    await work.move(f"{weight:g} % of the traffic", change)
    return f"{weight:g} % of the requests", {"trial_began": f"{work.clock():.3f}"}


async def observe(work: Working) -> Done:
    """Wait until the trial is over. Raises Ended where it is taken back."""
    canary = work.plan.canary
    if canary is None:
        return "no trial was asked for", {}
    if "trial_began" not in work.run.facts:
        raise Ended(
            Outcome.FAILED, "the file asks for a trial now, and the run is past its beginning"
        )
    earlier = max(0.0, work.clock() - float(work.run.facts["trial_began"]))
    began, said = time.monotonic(), ""
    while True:
        passed = earlier + time.monotonic() - began
        seen = await _seen(work, passed)
        if seen is None:
            return "somebody made it stable", {}
        decision = decide(canary, seen)
        if decision.next is Next.PROMOTE:
            return decision.why, {}
        if decision.next is Next.BACK:
            await end_trial(work, decision.why)
            raise Ended(Outcome.TAKEN_BACK, f"version {work.version}: {decision.why}")
        if not seen.is_known and not said:
            said = "nothing is known of the trial, which goes on: nothing is promoted until it is"
            work.told(said)
        elif seen.is_known:
            said = ""
        await asyncio.sleep(seconds(canary.poll, "canary.poll"))


async def promote(work: Working) -> Done:
    """Make the version stable, and move aliases. Raises Ended where somebody ended its trial."""
    wanted, moved = work.plan.promote, []
    await work.check_version()

    def change(route: Route) -> Route:
        _check_trial(work, work.plan.canary, route)
        return route_moves.promoted(route, work.version)

    if wanted.route:
        await work.move("promoted", change)
        moved.append("the route")
    elif work.plan.canary is not None:
        await work.move("the trial is over", lambda route: _without(work, route))
    if wanted.aliases:
        aliases = dict.fromkeys(wanted.aliases, work.version)
        await work.because("promoted").set_aliases(work.plan.model, aliases)
        moved += [f"alias {name}" for name in wanted.aliases]
    return f"version {work.version}: {', '.join(moved) or 'nothing names it'}", {}


async def clean_up(work: Working) -> None:
    """Have the route as before the run, as far as the run changed it: a failed one leaves nothing half."""
    if "version" not in work.run.facts:
        return
    begun = work.run.begun
    before = work.before if begun is not None and begun.step is Step.PROMOTE else 0
    back = f"the run failed: version {work.version} is taken back"
    await work.move(back, lambda route: route_moves.moved_back(route, work.version, before))


async def end_trial(work: Working, why: str = "") -> None:
    """End the trial, if there is one: all else in the route stays."""
    what = f"taken back: {why}" if why else "taken back"
    await work.move(what, lambda route: _without(work, route))


async def _seen(work: Working, passed: float) -> Seen | None:
    """What the suite tells of the trial; None where a person made the version stable."""
    try:
        route = await work.client.route(work.plan.model)
        if route.stable == work.version:
            return None
        _check_trial(work, work.plan.canary, route)
        window = min(max(1.0, passed), _LONGEST_WINDOW_SECONDS)
        statistics = await work.client.statistics(window, work.plan.model, work.version)
        alerts = await work.client.alerts(work.plan.model, state="firing")
    except errors.HeadraceError as error:
        if not heals(error):
            raise
        return Seen(passed, 0, 0, is_known=False)
    mine = [each for each in statistics.versions if each.version == work.version]
    answered = sum(each.success_count for each in mine)
    wrong = sum(each.error_count - each.left_count for each in mine)
    about = tuple(alert for alert in alerts if alert.version == work.version)
    return Seen(passed, answered + wrong, wrong, about)


def _check_trial(work: Working, canary: Canary | None, route: Route) -> None:
    """Pass if the trial still is, beside the version that was compared with. Raises Ended."""
    if route.stable == work.version:
        return
    if canary is not None and not route_moves.is_on_trial(route, work.version):
        said = f"the trial of version {work.version} was ended by somebody else"
        raise Ended(Outcome.TAKEN_BACK, said)
    _check_stable(work, route)


def _check_stable(work: Working, route: Route) -> None:
    if work.before and route.stable not in (work.before, work.version):
        raise Ended(
            Outcome.TAKEN_BACK,
            f"version {route.stable} was made stable meanwhile: version {work.version} was compared with "
            f"version {work.before}, not with that",
        )


def _without(work: Working, route: Route) -> Route:
    return route_moves.without_trial(route, work.version)
