"""Tells how a run ended: in tags of its version, and to the command that the file names for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from headrace import errors
from headrace.lifecycle.retraining.commands import run_command
from headrace.lifecycle.retraining.journal import unwritable
from headrace.lifecycle.retraining.training import expanded
from headrace.lifecycle.retraining.working import Working

OUTCOME_TAG = "retraining_outcome"
REASON_TAG = "retraining_reason"
_LONGEST_TAG = 250
_LONGEST_SECONDS = 60.0
_LOG = "on_end.log"


async def tell_ending(work: Working) -> None:
    """Tell it, once. Raises what a call raises, FailedPrecondition (TRAINING_FAILED) of the command."""
    ended = work.run.ended
    if ended is None or ended.outcome is None:
        return
    said = " ".join(ended.said.split())
    try:
        if "version" in work.run.facts:
            with suppress(errors.NotFound):
                tags = {OUTCOME_TAG: str(ended.outcome), REASON_TAG: said[:_LONGEST_TAG]}
                await work.because("ended").annotate(work.plan.model, work.version, tags=tags)
    finally:
        await _run_on_end(work, str(ended.outcome), said)


async def _run_on_end(work: Working, outcome: str, said: str) -> None:
    if not work.plan.on_end:
        return
    told = {
        **work.environment,
        "HEADRACE_RUN": work.run.id,
        "HEADRACE_MODEL": work.plan.model,
        "HEADRACE_BECAUSE": work.run.because,
        "HEADRACE_OUTCOME": outcome,
        "HEADRACE_SAID": said,
        "HEADRACE_VERSION": work.run.facts.get("version", "0"),
    }
    try:
        await asyncio.to_thread(work.folder.mkdir, parents=True, exist_ok=True)
        command = expanded(work.plan.on_end)
        await run_command(command, work.place, told, work.folder / _LOG, _LONGEST_SECONDS)
    except OSError as error:
        raise unwritable(work.folder, error) from error
