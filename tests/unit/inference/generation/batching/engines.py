"""Engines over tiny models for tests, and callers that collect what they are told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnxruntime

from headrace.errors import HeadraceError
from headrace.state.language_records import GenerationConfig
from headrace.state.records import ServingConfig
from headrace_inference.adapters.generation.decoder_session import DecoderSession
from headrace_inference.adapters.generation.open_decoder import decoder_of_session
from headrace_inference.adapters.runtime import session_options
from headrace_inference.adapters.system_clock import SystemClock
from headrace_inference.domain.generation.batching.continuous_batching import ContinuousBatching
from headrace_inference.domain.generation.grammars import Grammars
from headrace_inference.domain.generation.requests import (
    GeneratedChunk,
    GenerationCall,
    GenerationRequest,
    SamplingOptions,
    StopConditions,
    TokenScore,
    Usage,
)
from headrace_inference.domain.generation.tokens.choice_writer import WriterTools
from headrace_inference.domain.generation.tokens.text_stream import TextStream
from tests.language.tiny_tokenizer import END, tiny_tokenizer

GREEDY = SamplingOptions(temperature=0)


class TinyCodec:
    """Decodes with the tokenizer of the tiny models."""

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Make a text of tokens."""
        text: str = tiny_tokenizer().decode(list(tokens), skip_special_tokens=skip_special_tokens)
        return text


@dataclass
class Caller:
    """A sink that keeps all, and calls `on_chunk` with each chunk on the engine's thread."""

    is_full: bool = False
    chunks: list[GeneratedChunk] = field(default_factory=list)
    scores: Sequence[TokenScore] = ()
    usage: Usage | None = None
    error: HeadraceError | None = None
    on_chunk: Callable[[GeneratedChunk], None] = lambda _: None
    done: threading.Event = field(default_factory=threading.Event)

    def prompt_scored(self, scores: Sequence[TokenScore]) -> None:
        """Keep the scores."""
        self.scores = list(scores)

    def deliver(self, chunks: Sequence[GeneratedChunk]) -> None:
        """Keep the chunks."""
        self.chunks += chunks
        for chunk in chunks:
            self.on_chunk(chunk)

    def ended(self, usage: Usage) -> None:
        """Keep the usage."""
        assert not self.done.is_set(), "told its end twice"
        self.usage = usage
        self.done.set()

    def failed(self, error: HeadraceError, usage: Usage) -> None:
        """Keep the error."""
        assert not self.done.is_set(), "told its end twice"
        self.error, self.usage = error, usage
        self.done.set()

    def tokens(self, choice: int = 0) -> list[int]:
        """Wait for the end; the tokens of a choice."""
        assert self.done.wait(30), "not told its end"
        if self.error is not None:
            raise self.error
        return [token for chunk in self.chunks if chunk.choice == choice for token in chunk.tokens]

    def text(self, choice: int = 0) -> str:
        """Wait for the end; the text of a choice."""
        self.tokens(choice)
        return "".join(chunk.text for chunk in self.chunks if chunk.choice == choice)


def open_tiny_decoder(folder: Path, rows: int) -> DecoderSession:
    """Open a decoder with one thread."""
    config = ServingConfig()
    options = session_options.build(config, 1, spinning=False)
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    return decoder_of_session(session, folder, rows)


@dataclass
class Running:
    """An engine that runs, and its decoder."""

    engine: ContinuousBatching
    decoder: DecoderSession

    def submit(self, request: GenerationRequest, deadline_ns: int | None = None) -> Caller:
        """Ask for an answer."""
        return self.call(request, deadline_ns)[1]

    def call(
        self,
        request: GenerationRequest,
        deadline_ns: int | None = None,
        caller: Caller | None = None,
    ) -> tuple[GenerationCall, Caller]:
        """Ask for an answer; the call, and who is told."""
        caller = caller or Caller()
        call = GenerationCall(request, caller, "stable", SystemClock().monotonic_ns(), deadline_ns)
        self.engine.submit(call)
        return call, caller


@contextmanager
def running_engine(
    folder: Path,
    *,
    max_sequences: int = 8,
    kv_tokens: int = 8192,
    config: ServingConfig | None = None,
    generation: GenerationConfig | None = None,
    grammars: Grammars | None = None,
    broken: Callable[[str], None] = lambda _: None,
) -> Iterator[Running]:
    """Run an engine over a tiny model."""
    decoder = open_tiny_decoder(folder, 2 * max_sequences + 1)
    config = replace(config or ServingConfig(), generation=generation or GenerationConfig())
    tools = WriterTools(
        frozenset({END}),
        lambda request: TextStream(
            TinyCodec(), request.stop, skip_special_tokens=request.skip_special_tokens
        ),
        grammars,
    )
    engine = ContinuousBatching(
        "tiny",
        decoder,
        config,
        tools,
        SystemClock(),
        kv_cache_bytes=kv_tokens * decoder.facts.kv_bytes_per_token,
        max_sequences=max_sequences,
        broken=broken,
    )
    try:
        yield Running(engine, decoder)
    finally:
        engine.stop()
        decoder.close()


def asking(
    prompt: Sequence[int], max_tokens: int, sampling: SamplingOptions = GREEDY, **options: object
) -> GenerationRequest:
    """A request whose answer has so many tokens, whatever the model says."""
    stop = StopConditions(max_tokens, ignore_eos=True)
    return GenerationRequest(prompt, stop, sampling, **options)  # type: ignore[arg-type]  # as they are named
