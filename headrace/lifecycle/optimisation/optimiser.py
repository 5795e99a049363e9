"""Optimises a version: pulls it, makes candidates, measures them beside it, chooses, and pushes."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from headrace import errors
from headrace.lifecycle.evaluation.label_files import labels_of
from headrace.lifecycle.evaluation.questions import Question
from headrace.lifecycle.evaluation.tasks import Task
from headrace.lifecycle.optimisation.artifact_folders import ArtifactFolder
from headrace.lifecycle.optimisation.candidates import Candidate, make_candidate
from headrace.lifecycle.optimisation.choice import Goal, Measured, best
from headrace.lifecycle.optimisation.judging import Allowed, Judge
from headrace.lifecycle.optimisation.losses import Criterion
from headrace.lifecycle.optimisation.measuring.costs import Cost
from headrace.lifecycle.optimisation.measuring.measurement import measure
from headrace.lifecycle.optimisation.methods import AUTO, Chain, chain_name, chains_of
from headrace.lifecycle.optimisation.optimisation import Optimisation
from headrace.lifecycle.optimisation.publishing import publish
from headrace.lifecycle.optimisation.samples import MOST_ROWS, Sample, read_sample
from headrace.lifecycle.threads import to_its_end
from headrace.state.annotation_records import Metric
from headrace.state.language_records import VersionKind

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Version

_SIGNATURE = "model.sig"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What an optimisation is asked for."""

    methods: Sequence[str] = ("auto",)
    """Names of methods, chains of them such as `prune+static-int8`, or `auto`."""
    target: str = ""
    """The column with the truth; '' compares with the parent's answers alone."""
    metric: str = ""
    """As evaluations name it, `f1_macro` or `recall{region=eu}` of a slice; '' for the task's main one."""
    task: Task | None = None
    """None where target and answers say it."""
    output: str = ""
    classes: Sequence[str] = ()
    """What the columns of the output are called, where neither the version nor a number says it."""
    positive: str = ""
    group_by: str = ""
    """A column of those whose rows belong together: they are ranked, or resampled, together."""
    allowed: Allowed = Allowed()
    goal: Goal = Goal.SIZE
    keep_batching: bool | None = None
    """Whether what cannot share runs is left out where the parent's does; None: of what `auto` tries."""
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
        criterion = await _criterion(client, version, wishes)
        parent = await _pulled(client, version, folder / "parent")
        sample = await asyncio.to_thread(
            read_sample,
            data,
            version.signature,
            criterion,
            most_rows=wishes.most_rows,
        )
        judge = await asyncio.to_thread(_judge, parent, sample, version, criterion)
        candidates, not_tried = await _candidates(chains, parent, judge, wishes, folder, told)
        made = [each for each in candidates if each.artifact is not None]
        costs = await measure(client, version, parent, made, sample, wishes, told)
        measured = _measured(version, parent, made, costs, judge, wishes)
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
            judging_name=sample.judging_name,
            judging_digest=sample.judging_digest,
            rows=sample.judging.rows,
            is_split=sample.is_split,
            through_server=wishes.through_server,
            seconds=time.monotonic() - start,
            metric=judge.parent_metric()[0],
            not_tried=tuple(map(chain_name, not_tried)),
        )
        if wishes.push and found.chosen is not None:
            told("pushing")
            pair = await asyncio.to_thread(_evaluated, judge, found.chosen)
            pushed = await publish(client, version, found, pair, wishes.alias, wishes.command)
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


async def _criterion(client: AsyncClient, version: Version, wishes: Wishes) -> Criterion | None:
    """How answers are judged; None without a target."""
    if not wishes.target:
        return None
    question = Question(
        (wishes.target,),
        output=wishes.output,
        task=wishes.task,
        classes=tuple(wishes.classes),
        positive=wishes.positive,
        group_by=wishes.group_by,
    )
    return Criterion(question, wishes.metric, await labels_of(client, version))


def _judge(
    parent: ArtifactFolder, sample: Sample, version: Version, criterion: Criterion | None
) -> Judge:
    rows = max(1, version.config.batching.max_batch_size)
    return Judge(parent.load(), sample, rows_per_run=rows, criterion=criterion)


def _evaluated(judge: Judge, chosen: Measured) -> tuple[list[Metric], list[Metric]]:
    """The metrics of the parent, and those of the chosen candidate, over the same rows."""
    artifact = chosen.candidate.artifact if chosen.candidate else None
    assert artifact is not None, "what is chosen was made"
    return judge.metrics(), judge.metrics(artifact.load())


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
            making = partial(
                make_candidate, chain, parent, judge, wishes.allowed, folder / name, has_time
            )
            found.append(await to_its_end(making, ended.set))
    finally:
        ended.set()  # a search in its thread goes no further
    return found, []


def _measured(
    version: Version,
    parent: ArtifactFolder,
    made: Sequence[Candidate],
    costs: Sequence[Cost],
    judge: Judge,
    wishes: Wishes,
) -> tuple[Measured, ...]:
    first = Measured(
        f"version {version.number}",
        parent.model_bytes,
        0.0,
        costs[0],
        metric=judge.parent_metric()[1],
    )
    batches = bool(version.config.batching.max_batch_size)
    free = set() if wishes.keep_batching else set(chains_of(_named_alone(wishes)))
    return (
        first,
        *(
            Measured(
                each.name,
                each.artifact.model_bytes,
                each.difference.loss.value,
                cost,
                each,
                loses_batching=batches
                and (each.mixes_rows or bool(cost and cost.batches is False)),
                may_lose_batching=each.chain in free,
            )
            for each, cost in zip(made, costs[1:], strict=True)
            if each.artifact and each.difference
        ),
    )


def _named_alone(wishes: Wishes) -> Sequence[str]:
    """The methods that may be chosen though they lose batching: those that were named, unless all may."""
    if wishes.keep_batching is False:
        return wishes.methods
    return [name for name in wishes.methods if name != AUTO]
