"""`headrace generate`."""

from __future__ import annotations

import sys
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.arguments import CallableName, VersionOrAlias
from headrace.cli.command import Cli, command
from headrace.cli.generation_flags import (
    MaxTokens,
    Pace,
    Schema,
    Seed,
    Stop,
    Temperature,
    TopK,
    TopP,
    options_of,
    paced,
    write_text,
)

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Generation, GenerationOptions, TokenScore


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "generate")(generate)


async def generate(
    cli: Cli,
    name: CallableName,
    prompt: Annotated[
        str, typer.Argument(metavar="[PROMPT]", help="The text to go on from; - reads it.")
    ] = "-",
    version: VersionOrAlias = "",
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    top_k: TopK = None,
    seed: Seed = None,
    stop: Stop = None,
    schema: Schema = None,
    n: Annotated[int, typer.Option("--n", min=1, help="So many answers.")] = 1,
    logprobs: Annotated[
        int | None,
        typer.Option(
            min=0, help="Score each token, and so many others beside it.", show_default=False
        ),
    ] = None,
) -> None:
    """Have a language model go on from a text, as it is: no chat template is applied.

    One answer is shown as it is generated; several, or scores, once all have ended.
    """
    text = sys.stdin.read() if prompt == "-" else prompt
    options = options_of(
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        seed=seed,
        stop=stop,
        schema=schema,
    )
    async with cli.client() as client:
        if not cli.as_json and n == 1 and logprobs is None:
            await _stream(client, cli, name, text, version, options)
            return
        options |= {"n": n, "logprobs": logprobs}
        found = await client.generate(
            name, text, version=version, timeout_seconds=cli.timeout_seconds, **options
        )
    cli.show(as_document(found), lambda: _lines(found))


async def _stream(
    client: AsyncClient,
    cli: Cli,
    name: str,
    text: str,
    version: str,
    options: GenerationOptions,
) -> None:
    pace = Pace(time.monotonic())
    parts = client.generate_stream(
        name, text, version=version, timeout_seconds=cli.timeout_seconds, **options
    )
    async with aclosing(parts):
        async for part in paced(parts, pace):
            write_text(part.text)
    sys.stdout.write("\n")
    if sys.stderr.isatty():
        sys.stdout.flush()
        print(f"[{pace.line()}]", file=sys.stderr)


def as_document(found: Generation) -> dict[str, Any]:
    """A generation as JSON shows it."""
    return {
        "model_name": found.model,
        "model_version": str(found.version),
        "route": found.route,
        "choices": [
            {
                "text": choice.text,
                "finish_reason": choice.finish_reason,
                "stopped_by": choice.stopped_by,
                "token_ids": choice.token_ids,
                "logprobs": [_score(score) for score in choice.scores],
            }
            for choice in found.choices
        ],
        "usage": found.usage,
    }


def _score(score: TokenScore) -> dict[str, Any]:
    return {
        "token": score.token.decode("utf-8", "replace"),
        "token_id": score.token_id,
        "logprob": score.logprob,
        "top": [{"token_id": token, "logprob": logprob} for token, logprob in score.top],
    }


def _lines(found: Generation) -> list[Any]:
    lines: list[Any] = []
    for number, choice in enumerate(found.choices, 1):
        if len(found.choices) > 1:
            lines.append(f"-- {number} of {len(found.choices)} ({choice.finish_reason})")
        lines.append(choice.text)
        if choice.scores:
            rows = [
                (repr(score.token.decode("utf-8", "replace")), f"{score.logprob:.3f}")
                for score in choice.scores
            ]
            lines.append(output.table(("token", "logprob>"), rows))
    return lines
