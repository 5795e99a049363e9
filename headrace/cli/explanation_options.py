"""The options of `headrace explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_SAMPLE = "Over many rows"
_FEATURES = "Methods and baselines"

Values = Annotated[
    list[str] | None, typer.Argument(metavar="[VALUE]...", help="The row, as of `infer`.")
]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="NAME=VALUE", help="The same for one input; several times."),
]
Image = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="An image: a map over it.")
]
Text = Annotated[
    str | None, typer.Option(help="A text: what its words, or Chinese characters, add.")
]
Answer = Annotated[
    str,
    typer.Option(
        help="Of a language model: explain how probable this answer is to the prompt in --text."
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        exists=True, help="A table: the row, where none is given; names and means of features."
    ),
]
Row = Annotated[int, typer.Option(min=1, help="Which row of --data.")]
Global = Annotated[
    bool,
    typer.Option(
        "--global", help="Explain the version over rows of --data.", rich_help_panel=_SAMPLE
    ),
]
Limit = Annotated[
    int,
    typer.Option(
        min=2,
        help="Only so many rows of --data, at equal distances, with --global.",
        rich_help_panel=_SAMPLE,
    ),
]
Target = Annotated[
    str,
    typer.Option(
        metavar="COLUMN",
        help="The column of the truth, which is no input; with --global: what the loss hangs on, too.",
        rich_help_panel=_SAMPLE,
    ),
]
Output = Annotated[str, typer.Option("--output", metavar="NAME", help="The output to explain.")]
Column = Annotated[
    str,
    typer.Option(
        "--class",
        metavar="CLASS",
        help="Its class or column: a number, or a label. [default: the predicted one]",
    ),
]
LogOdds = Annotated[bool, typer.Option("--log-odds", help="Explain the log-odds of a probability.")]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        help="occlusion, leave-one-in, integrated-gradients, shapley, kernel-shap, or all; several times. "
        "[default: what is cheap here]",
        rich_help_panel=_FEATURES,
    ),
]
Baseline = Annotated[
    str,
    typer.Option(
        metavar="WORD|FILE",
        help="What stands for features that are not there: zeros, mean or sample (of --data; of an image, "
        "mean is its own), blur, reference, or a table of rows.",
        rich_help_panel=_FEATURES,
    ),
]
Replacement = Annotated[
    str,
    typer.Option(
        help="What to put in a word's place, such as [MASK]. [default: it is left out]",
        rich_help_panel=_FEATURES,
    ),
]
Patch = Annotated[
    int,
    typer.Option(
        min=0,
        help="Pixels of a patch of an image. [default: 14 patches a side]",
        show_default=False,
        rich_help_panel=_FEATURES,
    ),
]
Pairs = Annotated[
    int,
    typer.Option(
        min=2, help="Orders drawn for Shapley values, in pairs.", rich_help_panel=_FEATURES
    ),
]
Steps = Annotated[
    int, typer.Option(min=1, help="Steps of integrated gradients.", rich_help_panel=_FEATURES)
]
Samples = Annotated[
    int, typer.Option(min=0, help="Coalitions for KernelSHAP.", rich_help_panel=_FEATURES)
]
Seed = Annotated[int, typer.Option(min=0, help="Of all that is drawn.")]
MaxRows = Annotated[int, typer.Option(min=1, help="Ask for so many rows at most, or refuse.")]
Png = Annotated[
    Path | None, typer.Option(dir_okay=False, help="Write the plot to this file, as PNG.")
]
Report = Annotated[
    Path | None, typer.Option(dir_okay=False, help="Write the report to this file, as HTML.")
]
Store = Annotated[
    bool,
    typer.Option(
        "--store",
        help="Keep the report with the version in the registry; not by default, as it has values of rows.",
    ),
]
