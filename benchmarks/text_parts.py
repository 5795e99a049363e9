"""What does a token cost beside the model: choosing it, its mask, its text? And writing a conversation?

    python -m benchmarks.text_parts [--tokenizer FOLDER] [--vocabulary 49152]

Microseconds of processor time, the median of many. Logits are random, with a few likely tokens, as models'
are; FOLDER has a tokenizer.json and a chat template, and without it a tiny one is made.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from headrace.language.chats.chat_format import open_chat_format
from headrace.language.chats.tool_forms import PLAIN_FORM
from headrace.language.tokenizer import TextTokenizer
from headrace_inference.adapters.generation.grammars import LlguidanceGrammars
from headrace_inference.domain.generation.requests import (
    Grammar,
    GrammarKind,
    SamplingOptions,
    StopConditions,
)
from headrace_inference.domain.generation.tokens.logprobs import token_score
from headrace_inference.domain.generation.tokens.sampling import Sampler
from headrace_inference.domain.generation.tokens.text_stream import TextStream
from tests.language.tiny_tokenizer import write_tiny_tokenizer

OPTIONS = {
    "temperature": SamplingOptions(),
    "top_k 40": SamplingOptions(top_k=40),
    "top_k 50, top_p 0.9": SamplingOptions(top_k=50, top_p=0.9),
    "top_p 0.95": SamplingOptions(top_p=0.95),
    "top_p 0.95, temperature 2": SamplingOptions(top_p=0.95, temperature=2),
    "min_p 0.05": SamplingOptions(min_p=0.05),
    "typical_p 0.9": SamplingOptions(typical_p=0.9),
    "greedy, penalties": SamplingOptions(temperature=0, repetition_penalty=1.1),
}
TEXT = 'The mill was sold in spring. {"name": "Anna", "tags": ["one", "two"], "n": 42} ' * 4
OBJECT = '{"name": "Anna", "tags": ["one", "two"], "n": 42, "more": {"a": null, "b": [1, 2, 3]}}'


def microseconds(run: Callable[[], object], rounds: int = 300) -> float:
    """The median of what a call takes."""
    taken = []
    for _ in range(rounds):
        start = time.thread_time_ns()
        run()
        taken.append(time.thread_time_ns() - start)
    return statistics.median(taken) / 1000


def sampling(vocabulary: int) -> Iterator[tuple[str, float]]:
    """Choosing a token."""
    random = np.random.default_rng(0)
    row = (random.standard_normal(vocabulary) * 2).astype(np.float32)
    row[random.integers(0, vocabulary, 30)] += 12
    prompt = list(range(1000))
    for name, options in OPTIONS.items():
        sampler = Sampler(options, prompt)
        yield name, microseconds(lambda sampler=sampler: sampler.choose(row))  # type: ignore[misc]
    wide, narrow = random.random(vocabulary) < 0.99, np.arange(vocabulary) < 5
    free, greedy = Sampler(SamplingOptions(), []), Sampler(SamplingOptions(temperature=0), [])
    yield "temperature, nearly all allowed", microseconds(lambda: free.choose(row, wide))
    yield "temperature, 5 allowed", microseconds(lambda: free.choose(row, narrow))
    yield "greedy, nearly all allowed", microseconds(lambda: greedy.choose(row, wide))
    yield "5 logprobs", microseconds(lambda: token_score(row, 7, 5))


def texts(folder: Path) -> Iterator[tuple[str, float]]:
    """Masks, texts and prompts by a tokenizer."""
    tokenizer = TextTokenizer(folder / "tokenizer.json")
    yield (
        "text of a token",
        _each(tokenizer.encode(TEXT, add_special_tokens=False), _pushing(tokenizer)),
    )
    grammars = LlguidanceGrammars(tokenizer, tokenizer.size, ())
    tool = {"name": "keep", "parameters": {"type": "object"}}
    for name, grammar, said in (
        ("a mask of JSON", Grammar(GrammarKind.JSON_OBJECT), OBJECT),
        (
            "a mask of words, where tools may be called",
            _free(tool),
            "The mill was sold in spring. ",
        ),
    ):
        state = grammars.begin(grammar)
        tokens = tokenizer.encode(said, add_special_tokens=False)

        def go_on(token: int, state: object = state) -> None:
            state.allowed()  # type: ignore[attr-defined]
            state.accept(token)  # type: ignore[attr-defined]

        yield name, _each(tokens, go_on)
    grammars.close()
    chat = open_chat_format(folder, tokenizer)
    if chat is not None:
        turns = [{"role": "user", "content": "What is the capital of France?"}]
        yield "prompt of a short chat", microseconds(lambda: chat.prompt(turns))


def _free(tool: Mapping[str, object]) -> Grammar:
    return Grammar(GrammarKind.LARK, PLAIN_FORM.free([tool], several=True))


def _pushing(tokenizer: TextTokenizer) -> Callable[[int], object]:
    return TextStream(tokenizer, StopConditions(9999, strings=("\n\n", "STOP"))).push


def _each(tokens: list[int], run: Callable[[int], object]) -> float:
    waiting = iter(tokens)
    return microseconds(lambda: run(next(waiting)), len(tokens))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--vocabulary", type=int, default=49152)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.tokenizer or Path(made)
        if arguments.tokenizer is None:
            write_tiny_tokenizer(folder)
        for name, taken in (*sampling(arguments.vocabulary), *texts(folder)):
            print(f"{name:45} {taken:8.1f} us")


if __name__ == "__main__":
    main()
