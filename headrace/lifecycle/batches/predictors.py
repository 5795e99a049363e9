"""Opens what answers a batch's rows: the replicas, or a session of the version's files here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from headrace.lifecycle.batches.answering import PiecewisePredictor
from headrace.lifecycle.batches.plan import BatchPlan
from headrace.lifecycle.batches.texts import GeneratingPredictor
from headrace.lifecycle.predictors import ServedPredictor
from headrace.lifecycle.predictors.served import PATIENCE_SECONDS

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Version

REPLICAS, SESSIONS = "replicas", "sessions"
BACKGROUND: Mapping[str, bool] = {"headrace_background": True}
"""Has replicas run requests when no others wait."""


async def predictor_for(
    client: AsyncClient, version: Version, plan: BatchPlan, in_flight: int, *, threads: int = 0
) -> PiecewisePredictor:
    """What answers rows as the plan says. Raises HeadraceError."""
    if plan.through == SESSIONS:
        from headrace.lifecycle.batches.artifacts import session_of

        return await session_of(client, version, plan.outputs, threads=threads)
    if plan.texts is not None:
        return GeneratingPredictor(client, version, plan.texts, in_flight)
    return ServedPredictor(
        client,
        version,
        outputs=plan.outputs,
        in_flight=in_flight,
        adaptive=True,
        parameters=BACKGROUND,
        timeout_seconds=PATIENCE_SECONDS,
    )
