"""Opens a generative version: its decoder and its tokenizer, and its engine when it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headrace.errors import FailedPrecondition, InvalidArgument
from headrace.language.chats.chat_format import TemplateChatFormat, open_chat_format
from headrace.language.tokenizer import TOKENIZER_FILE, TextTokenizer
from headrace.state.language_records import GenerationConfig, LanguageFacts
from headrace.state.records import VersionRecord
from headrace_inference.adapters.allocator import return_freed_memory
from headrace_inference.adapters.generation.decoder_session import DecoderSession
from headrace_inference.adapters.generation.grammars import LlguidanceGrammars
from headrace_inference.adapters.generation.open_decoder import decoder_of_session
from headrace_inference.adapters.runtime import execution_providers
from headrace_inference.adapters.runtime.bare_session import opening_session
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.memory_book import MemoryBook
from headrace_inference.adapters.runtime.no_tensor_runs import NoTensorRuns
from headrace_inference.adapters.runtime.onnx_runtime import settled_bytes
from headrace_inference.adapters.runtime.version_files import folder_of
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.generation.batching import kv_budget
from headrace_inference.domain.generation.batching.continuous_batching import ContinuousBatching
from headrace_inference.domain.generation.requests import GenerationRequest
from headrace_inference.domain.generation.tokens.choice_writer import WriterTools
from headrace_inference.domain.generation.tokens.text_stream import CONTEXT_TOKENS, TextStream
from headrace_inference.domain.scheduling.execution_plan import NO_PLAN
from headrace_inference.domain.scheduling.runner import RunFailed
from headrace_inference.domain.scheduling.watchdog import RunHandle, RunWatchdog

_TRIED_TOKENS = 4


@dataclass(frozen=True, slots=True)
class OpenGeneration:
    """A running generative version, for wires: the domain's `GenerativeModel`."""

    facts: LanguageFacts
    config: GenerationConfig
    codec: TextTokenizer
    chat: TemplateChatFormat | None
    end_tokens: frozenset[int]
    grammars: LlguidanceGrammars
    engine: ContinuousBatching


class OpenGenerative(NoTensorRuns):
    """A version that is open and was tried: the domain's `GenerativeRunner`."""

    plan = NO_PLAN
    graph = "pushed"

    def __init__(
        self,
        record: VersionRecord,
        decoder: DecoderSession,
        codec: TextTokenizer,
        chat: TemplateChatFormat | None,
        config: GenerationConfig,
        clock: Clock,
    ) -> None:
        self._record = record
        self._decoder = decoder
        self._codec = codec
        self._chat = chat
        self._config = config
        self._clock = clock
        self._ends = frozenset(decoder.config.end_tokens)
        self._grammars = LlguidanceGrammars(codec, decoder.config.vocabulary_size, self._ends)
        self.provider = "cpu"
        self.labels: Mapping[str, Sequence[bytes]] = {}
        self.batching_obstacle = ""
        self.remark = _remark_on(record, config)
        self.memory_bytes = 0
        """Its weights, as the process grew, and all keys and values that it may keep."""
        self.closed: Callable[[], None] = lambda: None
        """Called when its memory is back."""

    def start(self, watchdog: RunWatchdog, broken: Callable[[str], None]) -> OpenGeneration:
        """Make its engine, which whoever closes this has stopped before."""
        record, config = self._record, self._config
        engine = ContinuousBatching(
            record.key,
            self._decoder,
            record.config,
            WriterTools(self._ends, self._text, self._grammars),
            self._clock,
            kv_cache_bytes=config.kv_cache_bytes,
            max_sequences=config.max_sequences,
            watchdog=watchdog,
            broken=broken,
        )
        facts = record.language
        assert facts is not None, "only versions of text are opened here"
        return OpenGeneration(
            facts, config, self._codec, self._chat, self._ends, self._grammars, engine
        )

    def _text(self, request: GenerationRequest) -> TextStream:
        return TextStream(
            self._codec,
            request.stop,
            skip_special_tokens=request.skip_special_tokens,
            context=request.prompt[-CONTEXT_TOKENS:],
        )

    def new_handle(self) -> RunHandle:
        """Return what ends a run that is begun with it."""
        return self._decoder.new_handle()

    def rest(self) -> None:
        """Give back what the C library keeps; the engine gives back the rest by itself."""
        return_freed_memory()

    def probe(self) -> str:
        """Return '': its engine finds out by itself."""
        return ""

    def close(self) -> None:
        """Give the memory back. Its engine has been stopped before."""
        self._grammars.close()
        self._decoder.close()
        return_freed_memory()
        self.closed()


def _remark_on(record: VersionRecord, config: GenerationConfig) -> str:
    """Say what of its memory is only promised, and where that is less than the context asks for."""
    facts = record.language
    kept = kv_budget.mebibytes(config.kv_cache_bytes)
    remark = f"{kept} of its memory are for keys and values, and taken as they come"
    longest = record.config.generation.context_length or (facts.context_length if facts else 0)
    if config.context_length >= longest:
        return remark
    return (
        f"{remark}; a prompt and its answer have at most {config.context_length} tokens, since no more are "
        "kept (generation.kv_cache_bytes)"
    )


def open_generative(
    graph_path: Path,
    record: VersionRecord,
    defaults: RuntimeDefaults,
    clock: Clock,
    memory: MemoryBook | None = None,
) -> OpenGenerative:
    """Open and try a version; the caller closes it. Blocks.

    Raises what `open_session` does, FailedPrecondition (LANGUAGE_EXTRA_MISSING), Unavailable
    (MEMORY_PROMISED) where others have been promised the memory that it needs.
    """
    facts = record.language
    assert facts is not None, "only versions of text are opened here"
    config = kv_budget.chosen(
        record.config.generation,
        facts.context_length,
        facts.kv_bytes_per_token,
        defaults.memory_bytes,
    )
    with _promised(memory, record, config) as number:
        before = settled_bytes()
        opened = _opened(graph_path, record, defaults, config, clock)
        weights = max(0, settled_bytes() - before)
        opened.memory_bytes = weights + config.kv_cache_bytes
        if memory is not None and number is not None:
            memory.correct(number, opened.memory_bytes)
            opened.closed = lambda: memory.give_back(number)
    return opened


@contextmanager
def _promised(
    memory: MemoryBook | None, record: VersionRecord, config: GenerationConfig
) -> Iterator[int | None]:
    inside = (
        nullcontext(None)
        if memory is None
        else memory.promising(record.key, record.size_bytes, config.kv_cache_bytes)
    )
    with inside as number:
        yield number


def _opened(
    graph_path: Path,
    record: VersionRecord,
    defaults: RuntimeDefaults,
    config: GenerationConfig,
    clock: Clock,
) -> OpenGenerative:
    folder = folder_of(graph_path, record)
    with opening_session(graph_path, record, defaults) as (session, handle):
        try:
            decoder = decoder_of_session(session, folder, 2 * config.max_sequences + 1)
            tokens = folder / decoder.config.tokenizer_folder
            codec = TextTokenizer(tokens / TOKENIZER_FILE)
            chat = open_chat_format(tokens, codec)
        except InvalidArgument as error:
            raise FailedPrecondition(
                "MODEL_UNLOADABLE", f"{record.key}: {error.message}"
            ) from error
        _try(record, decoder, handle)
        opened = OpenGenerative(record, decoder, codec, chat, config, clock)
        opened.provider = execution_providers.short_name(session.get_providers()[0])
    return opened


def _try(record: VersionRecord, decoder: DecoderSession, handle: RunHandle) -> None:
    """Read a few tokens and generate one. Raises FailedPrecondition (WARM_UP_FAILED)."""
    tokens = [token % decoder.config.vocabulary_size for token in range(_TRIED_TOKENS)]
    try:
        decoder.grow(_TRIED_TOKENS + 1, [0] * decoder.rows)
        decoder.extend(0, tokens, 0, handle)
        logits = decoder.decode([tokens[-1]], [len(tokens)], handle)
    except RunFailed as failure:
        raise FailedPrecondition(
            "WARM_UP_FAILED", f"{record.key} cannot generate a single token: {failure}"
        ) from failure
    if not np.isfinite(logits).any():
        raise FailedPrecondition(
            "WARM_UP_FAILED", f"the logits of {record.key} are not numbers: export the model again"
        )
    decoder.rest()
