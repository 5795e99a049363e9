"""The first steps of a run: the command that writes a model, and the push of it."""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import msgspec

from headrace.client import Lineage, Version
from headrace.lifecycle.retraining.commands import (
    LOG,
    OUT,
    end_all_of,
    failed,
    run_command,
)
from headrace.lifecycle.retraining.folders import new_out
from headrace.lifecycle.retraining.journal import unwritable
from headrace.lifecycle.retraining.plan import seconds
from headrace.lifecycle.retraining.working import Done, Working, moment_of

RUN_TAG = "retraining_run"
"""The tag of versions that a run made: its id."""
FACTS = "facts.json"
_LONGEST_COMMAND = 2000
_LONGEST_FACT = 500


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the command may say of its model, in `facts.json`."""

    metrics: dict[str, float] = {}
    tags: dict[str, str] = {}
    data_digest: str = ""
    source_revision: str = ""
    training_run: str = ""
    facts: dict[str, str | int | float | bool] = {}


async def train(work: Working) -> Done:
    """Run the command, into a new folder."""
    began, parent = time.monotonic(), await work.stable()
    await asyncio.to_thread(end_all_of, work.folder)
    try:
        out = await asyncio.to_thread(new_out, work.folder)
        environment = {
            **_environment(work, out, parent),
            **work.plan.train.environment,
            OUT: str(out),
        }
        command = expanded(work.plan.train.command)
        timeout = seconds(work.plan.train.timeout, "train.timeout")
        await run_command(command, work.place, environment, work.folder / LOG, timeout)
    except OSError as error:
        raise unwritable(work.folder, error) from error
    if not (out / work.plan.train.model).exists():
        raise failed(
            f"the command ended well and wrote no {work.plan.train.model} into HEADRACE_OUT ({out}): what "
            f"it printed is in {work.folder / LOG}"
        )
    said = f"{shlex.join(command)}: {time.monotonic() - began:.0f} s"
    return said, {"out": str(out), "parent": str(parent)}


async def push(work: Working) -> Done:
    """Push what it wrote, unless an earlier attempt did; wait until replicas have loaded it."""
    version = await _pushed_earlier(work) or await _pushed(work)
    within = seconds(work.plan.ready_within, "ready_within")
    await work.client.wait_until_ready(work.plan.model, version.number, timeout_seconds=within)
    facts = {"version": str(version.number), "made": moment_of(version.created_at)}
    return f"version {version.number} is loaded", facts


async def _pushed_earlier(work: Working) -> Version | None:
    """The version that an earlier attempt pushed."""
    found = await work.client.search_versions(
        f'tags.{RUN_TAG} = "{work.run.id}"', work.plan.model, limit=1
    )
    return found[0].version if found else None


async def _pushed(work: Working) -> Version:
    """Push it, with all that is said of it, in one change."""
    told = _told(work.out / FACTS)
    return await work.because("push").push(
        work.plan.model,
        work.out / work.plan.train.model,
        config=work.plan.push.config or None,
        description=work.plan.push.description,
        tags={**told.tags, **work.plan.push.tags, RUN_TAG: work.run.id},
        metrics=told.metrics,
        lineage=_lineage(work, told),
        request_id=str(uuid5(NAMESPACE_OID, f"{work.run.id} push")),
    )


def _lineage(work: Working, told: Told) -> Lineage:
    because = " ".join(work.run.because.split())[:_LONGEST_FACT]
    facts = {name: str(value)[:_LONGEST_FACT] for name, value in told.facts.items()}
    return Lineage(
        parent_version=int(work.run.facts["parent"]),
        method="retrain",
        command=shlex.join(work.plan.train.command)[:_LONGEST_COMMAND],
        source_revision=told.source_revision,
        data_digest=told.data_digest,
        training_run=told.training_run or work.run.id,
        facts={"because": because, **facts},
    )


def _told(path: Path) -> Told:
    """What the command wrote about its model. Raises FailedPrecondition (TRAINING_FAILED)."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Told)
    except FileNotFoundError:
        return Told()
    except (msgspec.MsgspecError, RecursionError) as error:
        raise failed(f"{path} does not say what it may: {error}") from error


def expanded(command: tuple[str, ...]) -> list[str]:
    """A command with the Python of headrace in the place of {python}."""
    return [sys.executable if word == "{python}" else word for word in command]


def _environment(work: Working, out: Path, parent: int) -> dict[str, str]:
    return {
        **work.environment,
        OUT: str(out),
        "HEADRACE_RUN": work.run.id,
        "HEADRACE_MODEL": work.plan.model,
        "HEADRACE_BECAUSE": work.run.because,
        "HEADRACE_SINCE": f"{work.since:.3f}",
        "HEADRACE_PARENT_VERSION": str(parent),
    }
