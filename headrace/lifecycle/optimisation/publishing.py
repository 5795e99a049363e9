"""Pushes what was chosen as a new version, with where it is from and what was measured of it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from headrace import errors
from headrace.lifecycle.optimisation.carried_configs import push_carried
from headrace.lifecycle.optimisation.choice import Measured
from headrace.lifecycle.optimisation.optimisation import Optimisation
from headrace.lifecycle.optimisation.report import attachments
from headrace.state.annotation_records import Lineage, Metric

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Version


async def publish(
    client: AsyncClient, parent: Version, found: Optimisation, alias: str, command: str
) -> int:
    """Push the chosen candidate and all that is said of it; gives its number.

    The parent's reference is given to it, too. `alias` moves when all is there.
    """
    chosen = found.chosen
    if chosen is None or chosen.candidate is None or chosen.candidate.artifact is None:
        raise ValueError("nothing was chosen")
    keeps_batching = chosen.cost is None or chosen.cost.batches is not False
    version = await push_carried(
        client,
        parent.model,
        chosen.candidate.artifact.folder,
        parent.config,
        insist=keeps_batching and bool(chosen.cost and chosen.cost.batches),
        description=f"version {parent.number}, optimised by {chosen.name}",
        kind=parent.kind,
    )
    await client.annotate(
        parent.model,
        version.number,
        lineage=_lineage(parent, found, chosen, command),
        metrics=_metrics(found, chosen),
    )
    for path, data, media_type in attachments(found):
        await client.attach(parent.model, version.number, path, data, media_type=media_type)
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


def _metrics(found: Optimisation, chosen: Measured) -> list[Metric]:
    """The metric where there was a truth, the loss with its interval, and what it costs."""
    difference = chosen.candidate.difference if chosen.candidate else None
    assert difference is not None, "what is chosen was compared"
    loss, now = difference.loss, time.time()

    def metric(
        name: str, value: float, lower: float | None = None, upper: float | None = None
    ) -> Metric:
        return Metric(
            name,
            value,
            data_digest=found.sample_digest,
            data_name=found.sample_name,
            lower=lower,
            upper=upper,
            confidence=0.0 if lower is None else 0.95,
            rows=difference.rows,
            measured_at=now,
        )

    metrics = [metric("optimisation.loss", loss.value, loss.lower, loss.upper)]
    metrics.append(metric("optimisation.largest_difference", difference.largest))
    if loss.candidate is not None and found.metric:
        metrics.append(metric(found.metric, loss.candidate))
    if difference.agreement is not None:
        metrics.append(metric("optimisation.agreement", difference.agreement))
    if chosen.cost is not None:
        metrics.append(metric("optimisation.p50_ms", chosen.cost.p50_ms))
        metrics.append(metric("optimisation.rows_per_second", chosen.cost.rows_per_second))
    return metrics
