"""The options of `headrace evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.table_options import COLUMNS_PANEL

TASKS = "binary, multiclass, multilabel, regression, ranking, generation"
_RULES = "Rules"

Data = Annotated[
    Path,
    typer.Option(
        exists=True, help="Rows: .csv, .jsonl, .parquet, .npz, or a folder of files by class."
    ),
]
Targets = Annotated[
    list[str],
    typer.Option(
        "--target",
        metavar="COLUMN",
        help="The column of the truth; several for labels of which any number may hold.",
    ),
]
Output = Annotated[
    str,
    typer.Option(
        "--output",
        metavar="NAME",
        help="The output that answers, or `y[2]` for a column of one.",
        rich_help_panel=COLUMNS_PANEL,
    ),
]
Classes = Annotated[
    str,
    typer.Option(
        metavar="A,B,C",
        help="The classes of the output's columns, where no labels.txt names them.",
        rich_help_panel=COLUMNS_PANEL,
    ),
]
Positive = Annotated[
    str,
    typer.Option(
        metavar="CLASS",
        help="Of two classes the one that is looked for. [default: the second]",
        rich_help_panel=COLUMNS_PANEL,
    ),
]
TaskName = Annotated[
    str | None,
    typer.Option("--task", help=f"One of {TASKS}. [default: found from target and outputs]"),
]
SliceBy = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN", help="Measure by the values of this column, too."),
]
GroupBy = Annotated[
    str,
    typer.Option(
        metavar="COLUMN",
        help="Rows of one value belong together: they are ranked, or resampled, together.",
    ),
]
At = Annotated[int, typer.Option("--at", min=1, help="Of rankings: look at so many from the top.")]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Only so many rows of --data, drawn by --seed.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of resamples, and of --limit.")]
Resamples = Annotated[int, typer.Option(min=1, max=100_000, help="So many make an interval.")]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="METRIC",
        help="Print and compare this one alone; several times.",
        rich_help_panel=_RULES,
    ),
]
Require = Annotated[
    list[str] | None,
    typer.Option(
        metavar="RULE",
        help="End with status 1 unless it holds: 'accuracy >= 0.95', 'f1.fraud.lower > 0.8'.",
        rich_help_panel=_RULES,
    ),
]
NoWorseThan = Annotated[
    str,
    typer.Option(
        metavar="stable|ALIAS|VERSION",
        help="End with status 1 if it is worse than this version on the same rows.",
        rich_help_panel=_RULES,
    ),
]
Margin = Annotated[
    float, typer.Option(min=0, help="By so much it may be worse.", rich_help_panel=_RULES)
]
Report = Annotated[
    Path | None, typer.Option(dir_okay=False, help="Write the report to this file, as HTML.")
]
Store = Annotated[
    bool, typer.Option(help="Keep metrics and report with the version in the registry.")
]
