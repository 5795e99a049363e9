"""Runs a batch: all rows of a table answered by one version.

The table is split into parts, T = T1 + T2 + …, each is answered, Ri = f(Ti), and the answers are gathered
in order. A batch that was killed goes on.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import InvalidArgument
from headrace.images import Preprocess
from headrace.lifecycle.batches.answering import RowAnswers
from headrace.lifecycle.batches.answers import ERROR, ROW, Refusal
from headrace.lifecycle.batches.durable import flush_folder, full_disk_told, write_whole
from headrace.lifecycle.batches.execution import (
    PARTS_AT_ONCE,
    Execution,
    FinishedPart,
    LocalExecution,
)
from headrace.lifecycle.batches.journal import Journal, open_journal
from headrace.lifecycle.batches.outputs import form_name, output_form
from headrace.lifecycle.batches.parquet_outputs import FolderOutput
from headrace.lifecycle.batches.plan import ROWS_PER_PART, BatchPlan, OnError, check_plan
from headrace.lifecycle.batches.predictors import REPLICAS, predictor_for
from headrace.lifecycle.batches.texts import TextOptions, text_options, with_rows
from headrace.lifecycle.predictors.served import IN_FLIGHT
from headrace.lifecycle.tables import Fitting, TableSource, fit, open_table
from headrace.lifecycle.threads import to_its_end
from headrace.state.records import Signature, TensorSpec

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Version

_SHOWN_REFUSALS = 5


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch is. `total` is None where only reading to the end would tell."""

    rows: int
    failed: int
    total: int | None


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What a batch did: its rows, those that the version refused, and what was there before."""

    model: str
    version: int
    output: str
    rows: int
    failed: int
    parts: int
    rows_found: int
    """Of them, those that a run before this one had finished."""
    requests: int
    seconds: float
    refusals: tuple[Refusal, ...]
    """The first of this run."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch that is about to run."""

    source: TableSource
    version: Version
    plan: BatchPlan
    fitting: Fitting
    outputs: tuple[TensorSpec, ...]


async def run_batch(
    client: AsyncClient,
    model: str,
    source: Path | str,
    output: Path | str,
    *,
    version: int | str = "",
    inputs: Mapping[str, Sequence[str]] | None = None,
    keep: Iterable[str] = (),
    outputs: Iterable[str] = (),
    rows_per_part: int = ROWS_PER_PART,
    in_flight: int = IN_FLIGHT,
    limit: int | None = None,
    on_error: OnError | str = OnError.RECORD,
    preprocess: Preprocess | str = Preprocess.AUTO,
    restart: bool = False,
    through: str = REPLICAS,
    ray: str = "",
    texts: TextOptions | None = None,
    on_progress: Callable[[BatchProgress], None] = lambda _: None,
    on_finished: Callable[[BatchReport], None] = lambda _: None,
) -> BatchReport:
    """Have a version answer all rows of a file or folder, and write them with their answers.

    `version` is a number or an alias, the stable one where nothing is said; it is pinned. `inputs` says
    which columns are which inputs, `keep` which columns are written beside the answers. With `through`
    `sessions` ONNX Runtime answers in this process, else the replicas do, when no other requests wait; with
    `ray`, an address or "local", actors of that Ray do what this process does else. A version that
    generates takes a column `prompt`, and answers as `texts` says.
    Where a run before was ended by whatever it was, the same call goes on; `restart` throws away what is
    there. `on_finished` is called when the output is there, before the journal goes: who is killed before
    it told anybody is told again by the same call. Raises HeadraceError; what was finished is kept then.
    """
    path = Path(output)
    number = await client.resolve(model, version) if version else (await client.route(model)).stable
    found = with_rows(await client.version(model, number))
    prepared = await asyncio.to_thread(
        prepare,
        open_table(source),
        found,
        path,
        inputs=inputs,
        keep=tuple(keep),
        outputs=tuple(outputs),
        rows_per_part=rows_per_part,
        limit=limit,
        on_error=OnError(on_error),
        preprocess=Preprocess(preprocess),
        through=through,
        texts=text_options(found, texts),
    )
    with open_journal(path, prepared.plan, restart=restart) as journal:
        run = BatchRun(prepared, journal, path, on_progress, on_finished)
        if ray:
            return await run.finish(_on_ray(client, ray, prepared, source, path, in_flight))
        return await run.finish(await _here(client, prepared, path, in_flight))


async def _here(
    client: AsyncClient, prepared: Prepared, output: Path, in_flight: int
) -> LocalExecution:
    plan = prepared.plan
    predictor = await predictor_for(client, prepared.version, plan, in_flight)
    answers = RowAnswers(
        predictor,
        prepared.fitting,
        prepared.outputs,
        plan.keep,
        plan.on_error,
        at_once=in_flight + PARTS_AT_ONCE,
    )
    return LocalExecution(answers, output_form(output))


def _on_ray(
    client: AsyncClient,
    address: str,
    prepared: Prepared,
    source: Path | str,
    output: Path,
    in_flight: int,
) -> Execution:
    from headrace.lifecycle.batches.ray_execution import RayExecution
    from headrace.lifecycle.batches.ray_worker import Work

    work = Work(prepared.plan, str(Path(source).resolve()), output.name, in_flight)
    return RayExecution(address, work, client.settings)


def prepare(
    source: TableSource,
    version: Version,
    output: Path,
    *,
    inputs: Mapping[str, Sequence[str]] | None,
    keep: tuple[str, ...],
    outputs: tuple[str, ...],
    rows_per_part: int,
    limit: int | None,
    on_error: OnError,
    preprocess: Preprocess,
    through: str,
    texts: TextOptions | None = None,
) -> Prepared:
    """Decide all that a batch is. Raises InvalidArgument (ROWS_INVALID, BATCH_INVALID)."""
    output_form(output)
    specs = _outputs(version, outputs)
    _check_keep(keep, source.columns, specs)
    fitting = fit(
        version.signature,
        source.columns,
        without=_no_inputs(keep, version.signature),
        chosen=inputs,
        preprocess=preprocess,
    )
    plan = BatchPlan(
        source=source.name,
        source_digest=source.digest(),
        model=version.model,
        version=version.number,
        version_digest=version.digest,
        through=through,
        output_form=form_name(output),
        inputs=fitting.columns,
        keep=keep,
        outputs=tuple(spec.name for spec in specs),
        rows_per_part=rows_per_part,
        limit=limit,
        preprocess=preprocess,
        on_error=on_error,
        texts=texts,
    )
    check_plan(plan)
    return Prepared(source, version, plan, fitting, specs)


class BatchRun:
    """One run of a batch: has missing parts executed, and gathers all of them."""

    def __init__(
        self,
        prepared: Prepared,
        journal: Journal,
        output: Path,
        on_progress: Callable[[BatchProgress], None] = lambda _: None,
        on_finished: Callable[[BatchReport], None] = lambda _: None,
    ) -> None:
        self._prepared = prepared
        self._journal = journal
        self._output = output
        self._on_progress = on_progress
        self._on_finished = on_finished
        self._refusals: list[Refusal] = []
        self._total = prepared.source.count()
        if self._total is not None and prepared.plan.limit is not None:
            self._total = min(self._total, prepared.plan.limit)

    async def finish(self, execution: Execution) -> BatchReport:
        """Have what is missing executed, gather, and say what was done. Raises HeadraceError."""
        began, journal = time.monotonic(), self._journal
        found = journal.found
        self._tell()
        await execution.run(self._prepared.source, journal, self._keep)
        if not journal.parts:
            raise InvalidArgument("ROWS_INVALID", f"{self._prepared.source.name} has no rows")
        await asyncio.to_thread(gather, journal, self._output)
        parts = journal.parts.values()
        report = BatchReport(
            self._prepared.version.model,
            self._prepared.version.number,
            str(self._output),
            journal.found,
            sum(part.failed for part in parts),
            len(parts),
            found,
            execution.requests,
            time.monotonic() - began,
            tuple(self._refusals),
        )
        self._on_finished(report)
        await asyncio.to_thread(journal.remove)
        return report

    async def _keep(self, part: FinishedPart) -> None:
        await to_its_end(
            partial(self._journal.keep, part.index, part.rows, part.failed, part.mark, part.write)
        )
        room = _SHOWN_REFUSALS - len(self._refusals)
        self._refusals += part.refusals[: max(0, room)]
        self._tell()

    def _tell(self) -> None:
        parts = self._journal.parts.values()
        failed = sum(part.failed for part in parts)
        self._on_progress(BatchProgress(self._journal.found, failed, self._total))


def gather(journal: Journal, output: Path) -> None:
    """Make the output of all parts: beside, then renamed. Raises ResourceExhausted."""
    form, parts = output_form(output), journal.paths()
    if not isinstance(form, FolderOutput):
        beside = journal.folder / "gathered"
        write_whole(beside, lambda path: form.gather(parts, path))
        beside.replace(output)
    else:
        _gather_folder(form, parts, journal.folder / "gathered", output)
    flush_folder(output.parent)


def _gather_folder(form: FolderOutput, parts: list[Path], beside: Path, output: Path) -> None:
    """A folder takes the place of no other that has files: that is moved away first."""
    shutil.rmtree(beside, ignore_errors=True)
    with full_disk_told(output):
        form.gather(parts, beside)
    if output.exists():
        before = beside.with_name("replaced")
        shutil.rmtree(before, ignore_errors=True)
        output.rename(before)
    beside.rename(output)


def _no_inputs(keep: Sequence[str], signature: Signature) -> list[str]:
    """The columns that are kept only: those with the names of inputs are both."""
    names = {spec.name for spec in (*signature.inputs, *signature.optional_inputs)}
    return [name for name in keep if name.partition("[")[0] not in names]


def _outputs(version: Version, wanted: Sequence[str]) -> tuple[TensorSpec, ...]:
    specs = {spec.name: spec for spec in version.signature.outputs}
    unknown = [name for name in wanted if name not in specs]
    if unknown:
        raise InvalidArgument(
            "BATCH_INVALID",
            f"version {version.number} of {version.model} has no output {unknown[0]!r}; it has "
            f"{', '.join(map(repr, specs))}",
        )
    return tuple(specs[name] for name in wanted or specs)


def _check_keep(keep: Sequence[str], columns: Sequence[str], outputs: Sequence[TensorSpec]) -> None:
    for name in keep:
        if name not in columns:
            raise InvalidArgument(
                "BATCH_INVALID",
                f"there is no column {name!r} to keep; there are {', '.join(map(repr, columns[:12]))}",
            )
    written = [ROW, *keep, *(spec.name for spec in outputs), ERROR]
    twice = next((name for name in written if written.count(name) > 1), None)
    if twice is not None:
        raise InvalidArgument(
            "BATCH_INVALID",
            f"two columns of the output would be {twice!r}: keep another, or choose other outputs",
        )
