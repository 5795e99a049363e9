"""Pushes what was chosen as a new version, with where it is from and what was measured of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING

from headrace import errors
from headrace.lifecycle.optimisation.carried_configs import push_carried
from headrace.lifecycle.optimisation.choice import Measured
from headrace.lifecycle.optimisation.optimisation import Optimisation
from headrace.lifecycle.optimisation.report import report_files
from headrace.state.annotation_records import Lineage, Metric

_PREFIX = "optimisation"

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Version


async def publish(
    client: AsyncClient,
    parent: Version,
    found: Optimisation,
    evaluated: tuple[Sequence[Metric], Sequence[Metric]],
    alias: str,
    command: str,
) -> int:
    """Push the chosen candidate and all that is said of it; gives its number.

    `evaluated`: the metrics of the parent and of the candidate over the same rows, so that a gate can
    compare them. The parent's reference is given to the candidate, too. `alias` moves when all is there.
    """
    chosen = found.chosen
    if chosen is None or chosen.candidate is None or chosen.candidate.artifact is None:
        raise ValueError("nothing was chosen")
    theirs, ours = (_signed(metrics, found) for metrics in evaluated)
    if theirs:
        with suppress(
            errors.ResourceExhausted
        ):  # much was said of it: what is new is the candidate's
            await client.annotate(parent.model, parent.number, metrics=theirs)
    keeps_batching = chosen.cost is None or chosen.cost.batches is not False
    version = await push_carried(
        client,
        parent.model,
        chosen.candidate.artifact.folder,
        parent.config,
        insist=keeps_batching and bool(chosen.cost and chosen.cost.batches),
        description=f"version {parent.number}, optimised by {chosen.name}",
        kind=parent.kind,
        lineage=_lineage(parent, found, chosen, command),
        metrics=[*ours, *_signed(_metrics(chosen), found)],
    )
    for file in report_files(found):
        path = f"optimisation/{file.name}"
        await client.attach(
            parent.model, version.number, path, file.data, media_type=file.media_type
        )
    with suppress(errors.NotFound):  # the parent has no reference
        await client.copy_reference(parent.model, version.number, parent.number)
    if alias:
        await client.alias(parent.model, alias, version.number)
    return version.number


def _lineage(parent: Version, found: Optimisation, chosen: Measured, command: str) -> Lineage:
    facts = dict(chosen.candidate.facts) if chosen.candidate else {}
    return Lineage(
        parent_version=parent.number,
        method=f"optimise: {chosen.name}",
        command=command,
        data_digest=found.sample_digest,
        facts={name: value[:500] for name, value in facts.items()},
    )


def _metrics(chosen: Measured) -> list[Metric]:
    """The loss with its interval, and what it costs."""
    difference = chosen.candidate.difference if chosen.candidate else None
    assert difference is not None, "what is chosen was compared"
    loss, agreement, cost = difference.loss, difference.agreement, chosen.cost
    is_bounded = isfinite(loss.lower) and isfinite(loss.upper)
    lower, upper = (loss.lower, loss.upper) if is_bounded else (None, None)
    sure = 0.95 if is_bounded else 0.0
    found = [
        Metric(f"{_PREFIX}.loss", loss.value, lower=lower, upper=upper, confidence=sure),
        Metric(f"{_PREFIX}.largest_difference", difference.largest),
    ]
    if agreement is not None:
        found.append(Metric(f"{_PREFIX}.agreement", agreement))
    if cost is not None:
        found.append(Metric(f"{_PREFIX}.p50_ms", cost.p50_ms))
        found.append(Metric(f"{_PREFIX}.rows_per_second", cost.rows_per_second))
    return [replace(each, rows=difference.rows) for each in found if isfinite(each.value)]


def _signed(metrics: Sequence[Metric], found: Optimisation) -> list[Metric]:
    """The metrics, which say over which rows they were measured, and when."""
    name, digest, now = found.judging_name, found.judging_digest, time.time()
    return [replace(each, data_name=name, data_digest=digest, measured_at=now) for each in metrics]
