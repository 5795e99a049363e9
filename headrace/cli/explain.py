"""`headrace explain`: which inputs an answer hangs on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.command import Cli, command
from headrace.cli.explained_rows import Question, asked_of
from headrace.cli.explained_samples import (
    SampleQuestion,
    explained_sample,
    keep_sample,
    sample_lines,
)
from headrace.cli.images import PREPROCESS_HELP, Preprocess
from headrace.cli.named_versions import VersionName, named
from headrace.cli.shown_explanations import explanation_lines, store, write_files

if TYPE_CHECKING:
    from headrace.lifecycle.explanation import PlannedCost


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "explain", changes=True)(explain)


async def explain(
    cli: Cli,
    name: VersionName,
    value: Annotated[
        list[str] | None, typer.Argument(metavar="[VALUE]...", help="The row, as of `infer`.")
    ] = None,
    input: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="The same for one input.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="An image: a map over it.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="A text: what its words, or Chinese characters, add.")
    ] = None,
    answer: Annotated[
        str,
        typer.Option(
            help="Of a language model: explain how probable this answer is to the prompt in --text."
        ),
    ] = "",
    data: Annotated[
        Path | None,
        typer.Option(
            exists=True, help="A table: the row, where none is given; names and means of features."
        ),
    ] = None,
    row: Annotated[int, typer.Option(min=1, help="Which row of --data.")] = 1,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="COLUMN", help="A column of --data that is no input."),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--global", help="Explain the version over rows of --data.")
    ] = False,
    rows: Annotated[int, typer.Option(min=2, help="How many rows, with --global.")] = 200,
    target: Annotated[
        str,
        typer.Option(metavar="COLUMN", help="The right answers: what the loss hangs on, too."),
    ] = "",
    output: Annotated[str, typer.Option(help="The output to explain.")] = "",
    column: Annotated[
        str,
        typer.Option(
            "--class",
            metavar="CLASS",
            help="Its class or column: a number, or a label. [predicted]",
        ),
    ] = "",
    log_odds: Annotated[
        bool, typer.Option("--log-odds", help="Explain the log-odds of a probability.")
    ] = False,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="occlusion, leave-one-in, integrated-gradients, shapley, kernel-shap; all of them."
        ),
    ] = None,
    baseline: Annotated[
        str,
        typer.Option(
            metavar="WORD|FILE",
            help="What stands for features that are not there: zeros, mean or sample (of --data; of an "
            "image, mean is its own), blur, reference, or a table of rows.",
        ),
    ] = "",
    replacement: Annotated[
        str, typer.Option(help="What to put in a word's place, such as [MASK]. [left out]")
    ] = "",
    patch: Annotated[
        int, typer.Option(min=0, help="Pixels of a patch of an image. [14 a side]")
    ] = 0,
    pairs: Annotated[
        int, typer.Option(min=2, help="Orders drawn for Shapley values, in pairs.")
    ] = 16,
    steps: Annotated[int, typer.Option(min=1, help="Steps of integrated gradients.")] = 16,
    samples: Annotated[int, typer.Option(min=0, help="Coalitions for KernelSHAP.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
    max_rows: Annotated[int, typer.Option(min=1, help="The most rows to ask.")] = 100_000,
    preprocess: Annotated[Preprocess, typer.Option(help=PREPROCESS_HELP)] = Preprocess.AUTO,
    png: Annotated[Path | None, typer.Option(dir_okay=False, help="A plot to write.")] = None,
    html: Annotated[Path | None, typer.Option(dir_okay=False, help="A report to write.")] = None,
    store_it: Annotated[
        bool, typer.Option("--store", help="Keep the report with the version, as an attachment.")
    ] = False,
) -> None:
    """Tell which inputs an answer hangs on, by asking the version for rows without some of them.

    The predicted class is explained, or the only value. What it will cost is said before. Values say what
    the model's answer hangs on, against the baseline; not what causes what.
    """
    from headrace.lifecycle.explanation import Effort

    question = Question(
        value or [],
        input or [],
        image,
        text,
        data,
        row,
        [*(without or ()), *([target] if target else ())],
        baseline,
        preprocess,
    )
    effort = Effort(pairs, steps, samples, seed=seed, max_rows=max_rows)
    async with cli.client() as client:
        model, version = await named(client, name)
        if whole:
            whole_question = SampleQuestion(
                data,
                rows,
                target,
                tuple(without or ()),
                output,
                column,
                tuple(method or ()),
                baseline,
            )
            told = await explained_sample(
                client,
                await client.version(model, version),
                whole_question,
                effort,
                lambda cost: _tell(cli, cost),
            )
            await keep_sample(client, told, png, html, store=store_it)
            cli.show(told.document(), lambda: sample_lines(told))
            return
        if answer:
            if text is None:
                raise typer.BadParameter("--answer takes the prompt in --text")
            found = await client.explain_answer(
                model,
                text,
                answer,
                version=version,
                methods=method or [],
                replacement=replacement,
                effort=effort,
                on_cost=lambda cost: _tell(cli, cost),
            )
        else:
            asked = await asked_of(client, model, version, question)
            found = await client.explain(
                model,
                asked.row,
                version=version,
                output=output,
                column=column or None,
                log_odds=log_odds,
                methods=method or [],
                baseline=asked.baseline,
                sample=asked.sample,
                names=asked.names,
                image=asked.image,
                patch=patch,
                text=asked.text,
                replacement=replacement,
                effort=effort,
                on_cost=lambda cost: _tell(cli, cost),
            )
        files = write_files(found, png, html, plotted=store_it)
        if store_it:
            await store(client, found, files)
    cli.show(found.document(), lambda: explanation_lines(found))


def _tell(cli: Cli, cost: PlannedCost) -> None:
    """Say on standard error what will be asked."""
    if not cli.as_json:
        parts = ", ".join(f"{method} {rows:,}" for method, rows in cost.by_method.items())
        alone = " (a row each: they share none here)" if cost.rows_per_request == 1 else ""
        typer.echo(
            f"asks at most {cost.rows:,} rows in about {cost.requests:,} requests{alone}: {parts}",
            err=True,
        )
