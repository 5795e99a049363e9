"""`headrace explain`: which inputs an answer hangs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import explanation_options as options
from headrace.cli.command import Cli, command
from headrace.cli.explained_rows import Question, asked_of
from headrace.cli.explained_samples import SampleQuestion, explained_sample, sample_lines
from headrace.cli.images import PREPROCESS_HELP, Preprocess
from headrace.cli.named_versions import OfVersion, VersionName, named
from headrace.cli.report_files import keep_explanation
from headrace.cli.shown_explanations import explanation_lines
from headrace.cli.table_options import Ignored

if TYPE_CHECKING:
    from headrace.client import AsyncClient
    from headrace.lifecycle.explanation import Explanation, PlannedCost


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "explain", changes=True)(explain)


async def explain(
    cli: Cli,
    name: VersionName,
    value: options.Values = None,
    version: OfVersion = "",
    input: options.Inputs = None,
    image: options.Image = None,
    text: options.Text = None,
    answer: options.Answer = "",
    data: options.Data = None,
    row: options.Row = 1,
    ignore: Ignored = None,
    whole: options.Global = False,
    limit: options.Limit = 200,
    target: options.Target = "",
    output: options.Output = "",
    column: options.Column = "",
    log_odds: options.LogOdds = False,
    method: options.Methods = None,
    baseline: options.Baseline = "",
    replacement: options.Replacement = "",
    patch: options.Patch = 0,
    pairs: options.Pairs = 16,
    steps: options.Steps = 16,
    samples: options.Samples = 0,
    seed: options.Seed = 0,
    max_rows: options.MaxRows = 100_000,
    preprocess: Annotated[Preprocess, typer.Option(help=PREPROCESS_HELP)] = Preprocess.AUTO,
    png: options.Png = None,
    report: options.Report = None,
    store: options.Store = False,
) -> None:
    """Tell which inputs an answer hangs on, by asking the version for rows without some of them.

    The predicted class is explained, or the only value. What it will cost is said before. Values say what
    the model's answer hangs on, against the baseline; not what causes what.
    """
    from headrace.lifecycle.explanation import Effort
    from headrace.lifecycle.extras import from_extra

    effort = Effort(pairs, steps, samples, seed=seed, max_rows=max_rows)
    ignored, methods = tuple(ignore or ()), tuple(method or ())
    no_inputs = (*ignored, *([target] if target else ()))
    sample = SampleQuestion(data, limit, target, ignored, output, column, methods, baseline)
    question = Question(
        value or [], input or [], image, text, data, row, no_inputs, baseline, preprocess
    )
    asked: dict[str, Any] = {
        "methods": methods,
        "replacement": replacement,
        "effort": effort,
        "on_cost": lambda cost: _tell(cli, cost),
    }
    if png or report or store:  # what is missing is told before anything is asked
        from_extra("matplotlib", "a plot")
    async with cli.client() as client:
        model, number = await named(client, name, version)
        if whole:
            pushed = await client.version(model, number)
            told = await explained_sample(client, pushed, sample, effort, asked["on_cost"])
            await keep_explanation(client, told, png=png, report=report, store=store)
            cli.show(told.document(), lambda: sample_lines(told))
            return
        asked["version"] = number
        if answer:
            found = await _of_an_answer(client, model, text, answer, asked)
        else:
            asked |= {"output": output, "column": column or None, "log_odds": log_odds}
            found = await _of_a_row(client, model, question, asked | {"patch": patch})
        await keep_explanation(client, found, png=png, report=report, store=store)
    cli.show(found.document(), lambda: explanation_lines(found))


async def _of_an_answer(
    client: AsyncClient, model: str, prompt: str | None, answer: str, asked: dict[str, Any]
) -> Explanation:
    if prompt is None:
        raise typer.BadParameter("--answer takes the prompt in --text")
    return await client.explain_answer(model, prompt, answer, **asked)


async def _of_a_row(
    client: AsyncClient, model: str, question: Question, asked: dict[str, Any]
) -> Explanation:
    given = await asked_of(client, model, asked["version"], question)
    return await client.explain(
        model,
        given.row,
        baseline=given.baseline,
        sample=given.sample,
        names=given.names,
        image=given.image,
        text=given.text,
        **asked,
    )


def _tell(cli: Cli, cost: PlannedCost) -> None:
    """Say on standard error what will be asked."""
    if not cli.as_json:
        parts = ", ".join(f"{method} {rows:,}" for method, rows in cost.by_method.items())
        alone = " (a row each: they share none here)" if cost.rows_per_request == 1 else ""
        typer.echo(
            f"asks at most {cost.rows:,} rows in about {cost.requests:,} requests{alone}: {parts}",
            err=True,
        )
