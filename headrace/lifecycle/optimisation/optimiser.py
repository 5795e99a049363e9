"""Optimises a version: pulls it, makes candidates, measures them beside it, chooses, and pushes."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from headrace import errors
from headrace.lifecycle.optimisation.artifact_folders import ArtifactFolder
from headrace.lifecycle.optimisation.candidates import Candidate, make_candidate
from headrace.lifecycle.optimisation.choice import Goal, Measured, best
from headrace.lifecycle.optimisation.judging import Allowed, Judge
from headrace.lifecycle.optimisation.losses import MetricName
from headrace.lifecycle.optimisation.measuring.costs import Cost
from headrace.lifecycle.optimisation.measuring.measurement import measure
from headrace.lifecycle.optimisation.methods import Chain, chain_name, chains_of
from headrace.lifecycle.optimisation.optimisation import Optimisation
from headrace.lifecycle.optimisation.publishing import publish
from headrace.lifecycle.optimisation.samples import MOST_ROWS, Sample, read_sample
from headrace.state.language_records import VersionKind

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Version

_SIGNATURE = "model.sig"
_LABELS = "labels.txt"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What an optimisation is asked for."""

    methods: Sequence[str] = ("auto",)
    """Names of methods, chains of them such as `prune+static-int8`, or `auto`."""
    target: str = ""
    """The column with the truth; '' compares with the parent's answers alone."""
    metric: MetricName = MetricName.ACCURACY
    output: str = ""
    allowed: Allowed = Allowed()
    goal: Goal = Goal.SIZE
    seconds: float = 120.0
    """So long candidates are looked for; measuring comes on top."""
    measure_seconds: float = 0.0
    """So long all of them take turns; 0: 2 s for each."""
    most_rows: int = MOST_ROWS
    through_server: bool = True
    keep_candidates: Path | None = None
    push: bool = True
    alias: str = ""
    command: str = ""
    """The command line, for the lineage."""


async def optimise(
    client: AsyncClient,
    model: str,
    number: int,
    data: Path | str,
    wishes: Wishes = Wishes(),
    told: Callable[[str], None] = lambda _: None,
) -> Optimisation:
    """Make candidates of a version, compare them with it, and push the best one that fits.

    Nothing is pushed where none is within the loss that is allowed and better than the parent by the goal.
    `told` is called with what is done now. Raises InvalidArgument (METHOD_INVALID, ROWS_INVALID),
    FailedPrecondition (NOTHING_TO_OPTIMISE, LIFECYCLE_EXTRA_MISSING), and what the registry raises.
    """
    start = time.monotonic()
    chains = chains_of(wishes.methods)
    version = await client.version(model, number)
    _check_kind(version)
    async with _work_folder(wishes.keep_candidates) as folder:
        told("pulling")
        parent = await _pulled(client, version, folder / "parent")
        sample = await asyncio.to_thread(
            read_sample,
            data,
            version.signature,
            target=wishes.target,
            most_rows=wishes.most_rows,
        )
        judge = await asyncio.to_thread(_judge, parent, sample, version, wishes)
        candidates, not_tried = await _candidates(chains, parent, judge, wishes, folder, told)
        made = [each for each in candidates if each.artifact is not None]
        costs = await measure(client, version, parent, made, sample, wishes, told)
        measured = _measured(version, parent, made, costs, judge)
        found = Optimisation(
            model=model,
            version=number,
            goal=wishes.goal,
            allowed=wishes.allowed,
            measured=measured,
            refused=tuple(each for each in candidates if each.artifact is None),
            chosen=best(measured, wishes.goal, wishes.allowed),
            sample_name=sample.name,
            sample_digest=sample.digest,
            rows=sample.judging.rows,
            is_split=sample.is_split,
            through_server=wishes.through_server,
            seconds=time.monotonic() - start,
            metric=str(wishes.metric) if wishes.target else "",
            not_tried=tuple(map(chain_name, not_tried)),
        )
        if wishes.push and found.chosen is not None:
            told("pushing")
            pushed = await publish(client, version, found, wishes.alias, wishes.command)
            found = replace(found, pushed=pushed)
        return found


def _check_kind(version: Version) -> None:
    if version.kind is not VersionKind.TENSORS:
        raise errors.FailedPrecondition(
            "NOTHING_TO_OPTIMISE",
            f"version {version.number} of {version.model} is asked for {version.kind}, and models of "
            "tensors are optimised: optimise its graph before you push it",
        )


@asynccontextmanager
async def _work_folder(kept: Path | None) -> AsyncIterator[Path]:
    """A folder for parent and candidates, which is removed unless it is to be kept."""
    if kept is None:
        with tempfile.TemporaryDirectory(prefix="headrace-optimise-") as name:
            yield Path(name)
        return
    if not await asyncio.to_thread(_is_empty, kept):
        raise errors.FailedPrecondition(
            "FOLDER_NOT_EMPTY", f"{kept} is not empty: name a new folder for the candidates"
        )
    yield kept


def _is_empty(folder: Path) -> bool:
    """Make the folder if it is not there, and say whether nothing is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    return not any(folder.iterdir())


async def _pulled(client: AsyncClient, version: Version, folder: Path) -> ArtifactFolder:
    await client.pull(version.model, version.number, folder)
    (folder / _SIGNATURE).unlink(missing_ok=True)  # it is of these files, and not of a candidate's
    return ArtifactFolder(folder, version.graph_path)


def _judge(parent: ArtifactFolder, sample: Sample, version: Version, wishes: Wishes) -> Judge:
    labels = parent.graph.parent / _LABELS
    names = tuple(labels.read_text("utf-8").split("\n")) if labels.is_file() else ()
    return Judge(
        parent.load(),
        sample,
        rows_per_run=max(1, version.config.batching.max_batch_size),
        metric=wishes.metric if wishes.target else None,
        output=wishes.output,
        labels=names,
    )


async def _candidates(
    chains: Sequence[Chain],
    parent: ArtifactFolder,
    judge: Judge,
    wishes: Wishes,
    folder: Path,
    told: Callable[[str], None],
) -> tuple[list[Candidate], list[Chain]]:
    """Candidates, one after the other, and the chains for which no time was left."""
    end, ended = time.monotonic() + wishes.seconds, threading.Event()
    found: list[Candidate] = []

    def has_time() -> bool:
        return time.monotonic() < end and not ended.is_set()

    try:
        for place, chain in enumerate(chains):
            if found and not has_time():
                return found, list(chains[place:])
            name = chain_name(chain)
            told(f"making {name}")
            found.append(
                await asyncio.to_thread(
                    make_candidate, chain, parent, judge, wishes.allowed, folder / name, has_time
                )
            )
    finally:
        ended.set()  # a search in its thread goes no further
    return found, []


def _measured(
    version: Version,
    parent: ArtifactFolder,
    made: Sequence[Candidate],
    costs: Sequence[Cost],
    judge: Judge,
) -> tuple[Measured, ...]:
    first = Measured(
        f"version {version.number}",
        parent.model_bytes,
        0.0,
        costs[0],
        metric=judge.parent_metric(),
    )
    return (
        first,
        *(
            Measured(
                each.name,
                each.artifact.model_bytes,
                each.difference.loss.value,
                cost,
                each,
            )
            for each, cost in zip(made, costs[1:], strict=True)
            if each.artifact and each.difference
        ),
    )
