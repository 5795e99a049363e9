"""What answers parts on a node of Ray: an actor that reads them, has them answered, and writes them."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace import errors
from headrace.lifecycle.batches.answering import RowAnswers
from headrace.lifecycle.batches.outputs import output_form
from headrace.lifecycle.batches.plan import BatchPlan
from headrace.lifecycle.batches.predictors import predictor_for
from headrace.lifecycle.batches.texts import with_rows
from headrace.lifecycle.tables import Rows, fit, open_table

if TYPE_CHECKING:
    from headrace.client.settings import ClientSettings


@dataclass(frozen=True, slots=True)
class Work:
    """What an actor has to know: the plan, and where input and output are."""

    plan: BatchPlan
    source: str
    output: str
    in_flight: int


class PartWorker:
    """Answers parts, one after the other, with a session or a client that it keeps."""

    def __init__(self, work: Work, settings: ClientSettings) -> None:
        self._work = work
        self._loop = asyncio.new_event_loop()
        self._failed: errors.HeadraceError | None = None
        try:
            self._source = open_table(work.source)
            self._answers, self._predictor = self._loop.run_until_complete(self._open(settings))
        except errors.HeadraceError as error:  # told with the first part: Ray would try again
            self._failed = error

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a part: what is to be told of it as JSON, and the content of its file."""
        place = int(batch["index"][0]), int(batch["start"][0]), int(batch["mark"][0])
        try:
            if self._failed is not None:
                raise self._failed
            told, content = self._loop.run_until_complete(self._answer(*place))
        except errors.HeadraceError as error:
            kind = type(error).__name__
            said = {"kind": kind, "reason": error.reason, "message": error.message}
            told, content = {"error": said}, b""
        contents = np.empty(1, dtype=object)
        contents[0] = content
        return {"told": np.array([json.dumps(told)]), "content": contents}

    async def _open(self, settings: ClientSettings) -> tuple[RowAnswers, Any]:
        from headrace.client import AsyncClient

        plan = self._work.plan
        client = AsyncClient(settings=settings)
        version = with_rows(await client.version(plan.model, plan.version))
        if version.digest != plan.version_digest:
            raise errors.FailedPrecondition(
                "BATCH_CHANGED", f"{plan.model} has another version now"
            )
        specs = {spec.name: spec for spec in version.signature.outputs}
        fitting = fit(
            version.signature,
            self._source.columns,
            chosen=plan.inputs,
            preprocess=plan.preprocess,
        )
        predictor = await predictor_for(client, version, plan, self._work.in_flight, threads=1)
        outputs = [specs[name] for name in plan.outputs]
        return RowAnswers(predictor, fitting, outputs, plan.keep, plan.on_error), predictor

    async def _answer(self, index: int, start: int, mark: int) -> tuple[dict[str, Any], bytes]:
        plan, before = self._work.plan, self._predictor.requests
        rows = next(self._source.chunks(plan.rows_per_part, start, mark if mark >= 0 else None))
        if plan.limit is not None:
            kept = rows.take(slice(0, plan.limit - start))
            rows = Rows(start, kept.columns, rows.mark)
        found = await self._answers.answer(rows)
        told = {
            "index": index,
            "rows": len(rows),
            "failed": len(found.refusals),
            "mark": rows.mark,
            "requests": self._predictor.requests - before,
            "refusals": [asdict(each) for each in found.refusals[:5]],
        }
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "part"
            output_form(Path(self._work.output)).write(path, found)
            return told, path.read_bytes()
