"""Reads a file of prompts: a JSON object in each line, or plain text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from headrace.cli.generation_flags import read_text


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt: a text that no chat template changes, or a conversation."""

    text: str = ""
    messages: Sequence[Mapping[str, Any]] = ()


def read_prompts(path: Path, *, chats: bool, limit: int | None = None) -> list[Asked]:
    """Return the prompts of a file, at most `limit`; what a plain line is depends on whether one `chats`.

    Raises typer.BadParameter, which names the line.
    """
    found = list(_prompts(path, chats=chats))[:limit]
    if not found:
        raise typer.BadParameter(f"{path} has no prompts: write one in each line")
    return found


def _prompts(path: Path, *, chats: bool) -> Iterator[Asked]:
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        if not line.lstrip().startswith("{"):
            yield Asked(messages=[{"role": "user", "content": line}]) if chats else Asked(line)
            continue
        try:
            yield _of_object(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise typer.BadParameter(f"{path}, line {number}: {error}") from error


def _of_object(value: Mapping[str, Any]) -> Asked:
    prompt, messages = value.get("prompt"), value.get("messages")
    if isinstance(prompt, str) and messages is None:
        return Asked(prompt)
    if isinstance(messages, list) and messages and prompt is None:
        return Asked(messages=messages)
    raise ValueError('it needs "prompt", a text, or "messages", a list of turns')
