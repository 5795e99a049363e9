"""Measures a parent and its candidates in one run: through the suite, or in processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from headrace.lifecycle.optimisation.artifact_folders import ArtifactFolder
from headrace.lifecycle.optimisation.candidates import Candidate
from headrace.lifecycle.optimisation.carried_configs import push_carried
from headrace.lifecycle.optimisation.judging import mixes_rows
from headrace.lifecycle.optimisation.measuring.costs import Cost
from headrace.lifecycle.optimisation.measuring.local import measure_local
from headrace.lifecycle.optimisation.measuring.scratch_models import open_scratch_model
from headrace.lifecycle.optimisation.measuring.served import measure_served
from headrace.lifecycle.optimisation.samples import Sample, fixed_rows
from headrace.lifecycle.predictors.predictor import Tensors

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Version

_SECONDS_EACH = 2.0
_SCRATCH_SECONDS = 900.0
_ROWS = 64


class Told(Protocol):
    """What of the wishes is about measuring."""

    @property
    def measure_seconds(self) -> float:
        """So long all take turns; 0: so many seconds for each."""

    @property
    def through_server(self) -> bool:
        """Whether the suite is asked."""


async def measure(
    client: AsyncClient,
    version: Version,
    parent: ArtifactFolder,
    made: Sequence[Candidate],
    sample: Sample,
    wishes: Told,
    told: Callable[[str], None],
) -> list[Cost]:
    """What the parent costs, then each candidate that was made."""
    artifacts = [parent, *(each.artifact for each in made if each.artifact)]
    seconds = wishes.measure_seconds or _SECONDS_EACH * len(artifacts)
    if wishes.through_server:
        return await _served(client, version, artifacts, sample, seconds, told)
    told("measuring on this machine")
    fixed, per_run = fixed_rows(version.signature), max(1, version.config.batching.max_batch_size)
    graphs = [
        (each.graph, -fixed if fixed else 1 if mixes_rows(each.load()) else per_run)
        for each in artifacts
    ]
    return await measure_local(graphs, sample.judging.first(max(256, fixed)).inputs, seconds, told)


async def _served(
    client: AsyncClient,
    version: Version,
    artifacts: Sequence[ArtifactFolder],
    sample: Sample,
    seconds: float,
    told: Callable[[str], None],
) -> list[Cost]:
    needed = seconds + _SCRATCH_SECONDS
    async with open_scratch_model(client, version.model, len(artifacts) + 1, needed) as scratch:
        versions = []
        insisted = await _is_insisted(client, scratch, artifacts[0], version)
        for each in artifacts:
            told(f"pushing {each.folder.name} to {scratch}")
            is_parent = each is artifacts[0]
            insist = is_parent or (insisted and not mixes_rows(each.load()))
            versions.append(
                await push_carried(
                    client, scratch, each.folder, version.config, insist=insist, kind=version.kind
                )
            )
        told("measuring through the server")
        rows = one_by_one(sample, fixed_rows(version.signature))
        return await measure_served(client, versions, rows, seconds, told)


async def _is_insisted(
    client: AsyncClient, scratch: str, parent: ArtifactFolder, version: Version
) -> bool:
    """Return whether the parent batches only because its push asked for it."""
    if not version.config.batching.max_batch_size:
        return False
    proposed = await client.push(scratch, parent.folder, kind=version.kind)
    return proposed.config.batching.max_batch_size == 0


def one_by_one(sample: Sample, fixed: int) -> list[Tensors]:
    """Requests of one row, or of as many as a run takes."""
    part = sample.judging
    step = fixed or 1
    return list(part.first(max(_ROWS, step)).pieces(step))
