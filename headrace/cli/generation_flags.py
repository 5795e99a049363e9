"""Options of commands that have text generated, and what they become in a call."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output

if TYPE_CHECKING:
    from headrace.client import GenerationOptions, GenerationPart, Usage

MaxTokens = Annotated[
    int | None, typer.Option(min=1, help="The most tokens of an answer.", show_default=False)
]
Temperature = Annotated[
    float | None,
    typer.Option(
        min=0, max=2, help="0 takes the most probable token each time.", show_default=False
    ),
]
TopP = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="Choose among the tokens that make up so much.", show_default=False
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(min=0, help="Choose among so many of the most probable.", show_default=False),
]
Seed = Annotated[
    int | None, typer.Option(help="The same seed gives the same answer.", show_default=False)
]
Stop = Annotated[
    list[str] | None, typer.Option(help="A text that ends the answer; several times for several.")
]
Schema = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="A JSON schema that the answer is held to."),
]


def options_of(
    *,
    max_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    seed: int | None = None,
    stop: Sequence[str] | None = None,
    schema: Path | None = None,
) -> GenerationOptions:
    """Return what the flags say of generation. Raises typer.BadParameter for a file that is no text."""
    return {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "seed": seed,
        "stop": list(stop or ()) or None,
        "json_schema": read_text(schema) if schema is not None else None,
    }


def read_text(path: Path) -> str:
    """The text of a file. Raises typer.BadParameter where it has none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} is not a readable text file: {error}") from error


def write_text(text: str) -> None:
    """Show a piece of text at once; a terminal gets nothing of it that it would obey."""
    sys.stdout.write(_for_terminal(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def _for_terminal(text: str) -> str:
    return "".join(char if char.isprintable() or char in "\n\t" else " " for char in text)


@dataclass(slots=True)
class Pace:
    """Measures how fast an answer came."""

    began: float
    first: float | None = None
    last: float = 0.0
    tokens: int = 0
    usage: Usage | None = None

    def take(self, part: GenerationPart, now: float) -> None:
        """Count a part that came now."""
        if part.token_ids:
            self.first = now if self.first is None else self.first
            self.last = now
            self.tokens += len(part.token_ids)
        self.usage = part.usage or self.usage

    @property
    def first_token_seconds(self) -> float | None:
        """Return how long the first token took."""
        return None if self.first is None else self.first - self.began

    @property
    def tokens_per_second(self) -> float | None:
        """Return how fast tokens came after the first one."""
        if self.first is None or self.tokens < 2 or self.last <= self.first:
            return None
        return (self.tokens - 1) / (self.last - self.first)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "tokens": self.tokens,
            "first_token_seconds": self.first_token_seconds,
            "tokens_per_second": self.tokens_per_second,
        }

    def line(self) -> str:
        """As people read it."""
        parts = [f"{self.tokens} tokens"]
        if self.tokens_per_second is not None:
            parts.append(f"{self.tokens_per_second:.1f} tokens/s")
        if self.first_token_seconds is not None:
            parts.append(f"the first after {output.duration(self.first_token_seconds)}")
        if self.usage is not None and self.usage.cached_tokens:
            parts.append(
                f"{self.usage.cached_tokens} of {self.usage.prompt_tokens} prompt tokens reused"
            )
        return ", ".join(parts)


async def paced(parts: AsyncIterator[GenerationPart], pace: Pace) -> AsyncIterator[GenerationPart]:
    """The parts, each counted as it comes."""
    async for part in parts:
        pace.take(part, time.monotonic())
        yield part
