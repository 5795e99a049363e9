"""Chats that stream at the same time, and what became of each."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Self

import openai

ASKED = (
    "Tell me a short story about a miller and a river.",
    "How does one bake bread? List the steps.",
    "What should I see in Rome in two days?",
    "Explain how a bicycle stays upright.",
)


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast chats were."""

    first_token_seconds: float
    """The median of all chats."""
    tokens_per_second: float
    """Of all chats together."""


@dataclass(slots=True)
class _Told:
    """What one stream told."""

    versions: set[str]
    finish_reason: str | None = None
    first_token_seconds: float = 0.0
    tokens: int = 0


class ParallelChats:
    """Threads that chat without a pause while inside, each stream to its end."""

    def __init__(self, client: openai.OpenAI, model: str, count: int) -> None:
        self._client = client
        self._model = model
        self._count = count
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.finished: Counter[str] = Counter()
        self.failures: list[str] = []
        self.mixed: list[set[str]] = []

    def __enter__(self) -> Self:
        self._threads = [
            threading.Thread(target=self._go_on, args=(number,)) for number in range(self._count)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @classmethod
    def measured(cls, client: openai.OpenAI, model: str, count: int, tokens: int) -> Speed:
        """Let so many chats run once, each for so many tokens."""
        chats = cls(client, model, count)
        told: list[_Told] = []
        threads = [
            threading.Thread(
                target=lambda number=number: told.append(chats._chat(number, tokens, whole=True))
            )
            for number in range(count)
        ]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - started
        first = statistics.median(each.first_token_seconds for each in told)
        return Speed(first, sum(each.tokens for each in told) / seconds)

    def _go_on(self, number: int) -> None:
        while not self._stop.is_set():
            try:
                told = self._chat(number, tokens=48)
            except openai.OpenAIError as error:
                self.failures.append(str(error))
                continue
            with self._lock:
                if len(told.versions) != 1:
                    self.mixed.append(told.versions)
                if told.finish_reason is None:
                    self.failures.append("a stream had no end")
                self.finished[min(told.versions)] += 1
            number += self._count

    def _chat(self, number: int, tokens: int, *, whole: bool = False) -> _Told:
        """Chat once. With `whole` the answer has all the tokens, though the model would have ended."""
        messages: list[Any] = [{"role": "user", "content": ASKED[number % len(ASKED)]}]
        told = _Told(set())
        started = time.monotonic()
        with self._client.chat.completions.create(
            model=self._model,
            messages=messages,
            max_tokens=tokens,
            seed=number,
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"ignore_eos": True} if whole else None,
        ) as chunks:
            for chunk in chunks:
                _note(told, chunk, time.monotonic() - started)
        return told


def _note(told: _Told, chunk: Any, seconds: float) -> None:
    """Note what a part of an answer says; its fingerprint begins with the model and the version."""
    told.versions.add(chunk.system_fingerprint.split("/")[1].split("-")[0])
    if chunk.usage:
        told.tokens = chunk.usage.completion_tokens
    for choice in chunk.choices:
        told.finish_reason = choice.finish_reason or told.finish_reason
        if choice.delta.content and not told.first_token_seconds:
            told.first_token_seconds = seconds
