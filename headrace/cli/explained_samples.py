"""`headrace explain --global`: which features a version's answers hang on, over rows of a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from headrace.cli import output
from headrace.cli.error_report import printable
from headrace.cli.explained_rows import names_of
from headrace.cli.shown_explanations import SHOWN

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Version
    from headrace.lifecycle.explanation import Effort, PlannedCost, SampleExplanation


@dataclass(frozen=True, slots=True)
class SampleQuestion:
    """What the arguments say of the sample."""

    data: Path | None
    limit: int
    target: str
    ignored: tuple[str, ...]
    output: str
    column: str
    methods: tuple[str, ...]
    baseline: str

    def check(self) -> Path:
        """The table. Raises typer.BadParameter."""
        if self.data is None:
            raise typer.BadParameter("--global takes the rows of --data FILE")
        if len(self.methods) > 1 or "all" in self.methods:
            raise typer.BadParameter("--global takes one --method")
        if self.baseline not in ("", "mean", "zeros", "sample"):
            raise typer.BadParameter("--global takes --baseline mean, sample or zeros")
        return self.data


async def explained_sample(
    client: AsyncClient,
    version: Version,
    question: SampleQuestion,
    effort: Effort,
    on_cost: Callable[[PlannedCost], None],
) -> SampleExplanation:
    """Explain a version over rows of a table, evenly over it. Raises as explain_sample does."""
    from headrace.lifecycle.explanation import Method, explain_sample, named_baseline
    from headrace.lifecycle.predictors import served_predictor
    from headrace.lifecycle.tables import fit, open_table

    source = open_table(question.check())
    outputs = {spec.name for spec in version.signature.outputs}
    target = {question.target} - {""}
    if not {*target, *question.ignored} <= {*source.columns}:
        raise typer.BadParameter(f"{source.name} has the columns {', '.join(source.columns)}")
    fitting = fit(version.signature, source.columns, without={*question.ignored, *target, *outputs})
    rows = _evenly(source, question.limit)
    sample = fitting.tensors(rows)
    predictor = served_predictor(client, version)
    found = await explain_sample(
        predictor,
        sample,
        baseline=named_baseline(
            question.baseline, {name: array[:1] for name, array in sample.items()}, sample=sample
        ),
        method=question.methods[0] if question.methods else Method.OCCLUSION,
        output=question.output,
        column=question.column or None,
        names=names_of(fitting, sample),
        truth=rows.columns[question.target] if question.target else None,
        effort=effort,
        rows_per_request=predictor.rows_per_request,
        on_cost=on_cost,
    )
    return replace(
        found,
        model=version.model,
        version=version.number,
        data=source.name,
        data_digest=source.digest(),
    )


def _evenly(source: Any, count: int) -> Any:
    """So many rows, at equal distances."""
    import numpy as np

    from headrace.lifecycle.tables import read_all

    rows = read_all(source)
    return rows.take(np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)))


def sample_lines(found: SampleExplanation) -> list[Any]:
    """What people are told of it."""
    heads = ["feature", "mean amount>", "mean>"]
    heads += [f"{found.loss} added>"] if found.importances else []
    heads += [f"class {name}>" for name in found.by_class] if len(found.by_class) > 1 else []
    loss = f", {found.loss} {found.loss_value:.4g}" if found.loss_value is not None else ""
    what = f"{found.model}/{found.version}: {printable(found.output)} ({found.scale})"
    return [
        f"{what} by {found.method}, {found.explained_rows:,} rows of {printable(found.data)}{loss}",
        f"baseline: {found.baseline}",
        "",
        output.table(heads, [_row(found, place) for place in found.order()[:SHOWN]]),
        "",
        f"asked {found.rows:,} rows in {found.requests:,} requests",
    ]


def _row(found: SampleExplanation, place: int) -> list[object]:
    cells: list[object] = [found.features[place]]
    cells += [f"{found.mean_amounts[place]:.4g}", f"{found.mean_values[place]:+.4g}"]
    if found.importances:
        told = found.importances[place]
        cells.append(f"{told.loss:+.4g} ± {told.deviation:.2g}")
    if len(found.by_class) > 1:
        cells += [f"{values[place]:.4g}" for values in found.by_class.values()]
    return cells
