"""`headrace compare`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace import errors
from headrace.cli import output
from headrace.cli.arguments import ModelName
from headrace.cli.command import Cli, command
from headrace.cli.generation_flags import Schema, read_text
from headrace.cli.prompts_file import Asked, read_prompts

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Generation, TokenScore, Version
    from headrace.language.comparison import Answers, Comparison

AT_A_TIME = 8
"""Prompts that are worked on together: versions batch them."""
TOP_LOGPROBS = 1024
"""The most that a score holds: of vocabularies up to that, the whole distribution."""

_NOT_LOADED = (
    "both versions have to be loaded: `headrace model NAME --keep-latest 2` keeps the two newest, and an "
    "alias (`headrace alias NAME compared VERSION`) has any version loaded"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "compare")(compare)


async def compare(
    cli: Cli,
    name: ModelName,
    first: Annotated[
        str, typer.Argument(metavar="VERSION", help="The version whose answers are scored.")
    ],
    second: Annotated[
        str, typer.Argument(metavar="OTHER", help="The version that is compared with it.")
    ],
    prompts: Annotated[
        Path,
        typer.Option(
            exists=True,
            dir_okay=False,
            help='A line each: {"prompt": ...}, {"messages": [...]}, or plain text.',
        ),
    ],
    max_tokens: Annotated[int, typer.Option(min=1, help="The most tokens of an answer.")] = 128,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many prompts.", show_default=False)
    ] = None,
    schema: Schema = None,
    top_logprobs: Annotated[
        int, typer.Option(min=1, max=TOP_LOGPROBS, help="Tokens told apart in the divergence.")
    ] = TOP_LOGPROBS,
    by_text: Annotated[
        bool,
        typer.Option("--by-text", help="Compare versions that have different tokenizers, too."),
    ] = False,
    max_perplexity_ratio: Annotated[
        float | None,
        typer.Option(min=1, help="End with status 1 where the ratio is over this."),
    ] = None,
) -> None:
    """Compare two versions of a language model by one's answers, without a judge.

    The first version answers each prompt, taking the most probable token each time; both then score these
    answers, in one pass each. Plain lines are what a user says, where both versions can chat. With --schema
    both answer freely, and it is counted whose answers fit. Needs 4 calls for each prompt.
    """
    check = _schema_check(schema)
    async with cli.client() as client:
        pair = await _pair(client, name, (first, second), by_text=by_text)
        asked = read_prompts(prompts, chats=pair.can_chat, limit=limit)
        work = _Work(client, cli, pair, max_tokens, top_logprobs, check)
        answers = await _hinted(work.all(asked))
    from headrace.language.comparison import compare as compared

    found = compared(answers, pair.vocabulary, by_text=pair.by_text)
    cli.show(
        {"model": name, "first": pair.first, "second": pair.second, **asdict(found)},
        lambda: _lines(pair, found),
    )
    if max_perplexity_ratio is not None and found.perplexity_ratio > max_perplexity_ratio:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two versions that can be compared."""

    model: str
    first: int
    second: int
    vocabulary: int
    can_chat: bool
    by_text: bool
    """Whether their tokens differ."""


async def _pair(
    client: AsyncClient, name: str, versions: tuple[str, str], *, by_text: bool
) -> _Pair:
    """Raises InvalidArgument, FailedPrecondition for versions that cannot be compared."""
    numbers = [await client.resolve(name, version) for version in versions]
    first, second = [await client.version(name, number) for number in numbers]
    facts = [_facts(each) for each in (first, second)]
    differ = facts[0].tokenizer_digest != facts[1].tokenizer_digest
    if differ and not by_text:
        raise errors.FailedPrecondition(
            "TOKENIZERS_DIFFER",
            f"versions {first.number} and {second.number} of {name} have different tokenizers "
            f"({facts[0].tokenizer_digest[:12]} and {facts[1].tokenizer_digest[:12]}), so their tokens are "
            "not the same: --by-text compares log-probabilities by character, without divergences",
        )
    can_chat = all("chat" in each.capabilities for each in facts)
    vocabulary = facts[0].vocabulary_size
    return _Pair(name, first.number, second.number, vocabulary, can_chat, by_text=differ)


def _facts(version: Version) -> Any:
    from headrace.state.language_records import VersionKind

    if version.language is None or version.kind is not VersionKind.GENERATION:
        raise errors.InvalidArgument(
            "VERSION_KIND",
            f"version {version.number} is of kind '{version.kind}': only versions that generate text can "
            "be compared so",
        )
    return version.language


async def _hinted(work: Awaitable[list[Answers]]) -> list[Answers]:
    """The answers; the error of a version that is not loaded says how to have it loaded."""
    try:
        return await work
    except* errors.HeadraceError as failures:
        error = _first(failures)
    if isinstance(error, errors.Unavailable | errors.NotFound):
        error.add_note(_NOT_LOADED)
    raise error


def _first(failures: BaseExceptionGroup[errors.HeadraceError]) -> errors.HeadraceError:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


Check = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class _Work:
    """Has prompts answered and answers scored."""

    client: AsyncClient
    cli: Cli
    pair: _Pair
    max_tokens: int
    top_logprobs: int
    check: Check | None

    async def all(self, asked: Sequence[Asked]) -> list[Answers]:
        """The answers to all prompts, in their order."""
        places, done = asyncio.Semaphore(AT_A_TIME), 0
        shown = not self.cli.as_json and sys.stderr.isatty()

        async def one(prompt: Asked) -> Answers:
            nonlocal done
            async with places:
                answers = await self._answers(prompt)
            done += 1
            if shown:
                print(f"\r{done} of {len(asked)} prompts", end="", file=sys.stderr, flush=True)
            return answers

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(prompt)) for prompt in asked]
        if shown:
            print(file=sys.stderr)
        return [task.result() for task in tasks]

    async def _answers(self, asked: Asked) -> Answers:
        from headrace.language.comparison import Answers

        first = await self._generated(asked, self.pair.first)
        second = await self._generated(asked, self.pair.second)
        return Answers(
            first.text,
            second.text,
            first.token_ids,
            second.token_ids,
            await self._scored(asked, self.pair.first, first),
            await self._scored(asked, self.pair.second, first),
            self.check(first.text) if self.check else None,
            self.check(second.text) if self.check else None,
        )

    async def _generated(self, asked: Asked, version: int) -> Generation:
        timeout = self.cli.timeout_seconds
        if asked.messages:
            return await self.client.chat(
                self.pair.model,
                asked.messages,
                version=version,
                timeout_seconds=timeout,
                temperature=0.0,
                max_tokens=self.max_tokens,
            )
        return await self.client.generate(
            self.pair.model,
            asked.text,
            version=version,
            timeout_seconds=timeout,
            temperature=0.0,
            max_tokens=self.max_tokens,
        )

    async def _scored(self, asked: Asked, version: int, answer: Generation) -> Sequence[TokenScore]:
        """The scores of an answer: of its tokens, or of its text, which has no end token."""
        said = answer.text if self.pair.by_text else answer.token_ids
        if not said:
            return ()
        found = await self.client.score(
            self.pair.model,
            asked.messages or asked.text,
            [said],
            version=version,
            top_logprobs=0 if self.pair.by_text else self.top_logprobs,
            timeout_seconds=self.cli.timeout_seconds,
        )
        return found.results[0]


def _schema_check(path: Path | None) -> Check | None:
    """Return a test of whether an answer fits the schema. Raises typer.BadParameter, FailedPrecondition."""
    if path is None:
        return None
    try:
        import jsonschema_rs
    except ImportError as error:
        raise errors.FailedPrecondition(
            "SCHEMA_LIBRARY_MISSING",
            "telling whether answers fit a schema needs a library: pip install 'headrace[language]'",
        ) from error
    try:
        schema = json.loads(read_text(path))
        validator = jsonschema_rs.validator_for(schema)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{path} is not a JSON schema: {error}") from error

    def fits(text: str) -> bool:
        try:
            return bool(validator.is_valid(json.loads(text)))
        except (ValueError, RecursionError):
            return False

    return fits


def _lines(pair: _Pair, found: Comparison) -> list[Any]:
    head = f"{pair.model}: {found.prompts} prompts, {found.tokens} tokens of version {pair.first}'s"
    columns = ("", f"version {pair.first}>", f"version {pair.second}>")
    unit = "character" if pair.by_text else "token"
    rows: list[tuple[str, ...]] = [
        (
            f"mean log-probability of a {unit}",
            f"{found.first_logprob:.4f}",
            f"{found.second_logprob:.4f}",
        ),
        (
            "mean length, tokens",
            f"{found.first_length_mean:.1f}",
            f"{found.second_length_mean:.1f}",
        ),
    ]
    if found.first_valid_share is not None and found.second_valid_share is not None:
        valid = f"{found.first_valid_share:.1%}", f"{found.second_valid_share:.1%}"
        rows.append(("answers that fit the schema", *valid))
    return [head, output.table(columns, rows), "", *_together(found)]


def _together(found: Comparison) -> list[str]:
    lines = [f"perplexity ratio      {found.perplexity_ratio:.4f} (1: both find them as probable)"]
    if found.kl_mean is not None and found.kl_max is not None:
        bound = "" if found.kl_is_exact else "at least "
        lines.append(
            f"divergence (KL)       {bound}{found.kl_mean:.5f} nats a token; the largest {bound}"
            f"{found.kl_max:.4f}"
        )
    if found.agreement is not None:
        lines.append(f"same token preferred  {found.agreement:.1%}")
    lines.append(f"equal answers         {found.equal_share:.1%}")
    if found.first_difference_median is not None:
        lines.append(
            f"first difference      at token {found.first_difference_median:g} (median, from 0)"
        )
    return lines
