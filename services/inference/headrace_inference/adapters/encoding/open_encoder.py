"""Opens a version that embeds or reranks: its graph, its tokenizer, and what batches its texts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from headrace.errors import FailedPrecondition
from headrace.language.encoder_files import EncoderFiles, encoder_root, read_encoder_files
from headrace.language.encoder_graph import encoder_graph
from headrace.language.graph_ends import ends_of_session
from headrace.machine.memory import resident_bytes
from headrace.model_files.custom_operators import find_libraries
from headrace.state.language_records import EncodingConfig, LanguageFacts
from headrace.state.records import Provider, VersionRecord
from headrace_inference.adapters.allocator import return_freed_memory
from headrace_inference.adapters.encoding.encoder_codec import EncoderCodec
from headrace_inference.adapters.encoding.graph_session import GraphSession
from headrace_inference.adapters.encoding.row_trial import Rows, TrialTexts, try_rows
from headrace_inference.adapters.runtime import execution_providers, session_options
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.load_limit import load_limit
from headrace_inference.adapters.runtime.no_tensor_runs import NoTensorRuns
from headrace_inference.adapters.runtime.ort_errors import RUNTIME_ERRORS, run_failed
from headrace_inference.adapters.runtime.version_files import folder_of, no_memory
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.encoding.requests import EncodingRequest
from headrace_inference.domain.encoding.text_runner import batch_of
from headrace_inference.domain.encoding.token_batcher import Encoding, TokenBatcher
from headrace_inference.domain.scheduling.execution_plan import NO_PLAN
from headrace_inference.domain.scheduling.runner import OutOfMemory, RunFailed
from headrace_inference.domain.scheduling.watchdog import RunHandle, RunWatchdog

logger = logging.getLogger(__name__)

MOST_TOKENS = 1024
"""Of a run where the serving config leaves it open: more gains nothing on a CPU, and others wait."""
MOST_TOKENS_ON_DEVICE = 16_384

_MIXES = (
    "its texts run one at a time, for its graph mixes texts that share a run (as int8 graphs do whose "
    "scales are taken from the whole batch): quantize it with static scales"
)
_WITHIN = "a vector's last bits depend on the texts that share its run"
_ONE = "its texts run one at a time, for its graph takes one row: export it with a free batch dimension"
_REMARKS = {Rows.MIXED: _MIXES, Rows.ONE: _ONE, Rows.WITHIN_BOUND: _WITHIN}


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A running encoder, for wires: the domain's `EncoderModel`."""

    facts: LanguageFacts
    config: EncodingConfig
    codec: EncoderCodec
    encoder: TokenBatcher
    end_tokens: int
    dimensions: Sequence[int]


class OpenEncoder(NoTensorRuns):
    """An encoder that is open, warmed and tried: the domain's `EncoderRunner`."""

    def __init__(
        self,
        record: VersionRecord,
        session: GraphSession,
        files: EncoderFiles,
        codec: EncoderCodec,
        provider: str,
        clock: Clock,
        rows: Rows,
    ) -> None:
        self._record = record
        self._session = session
        self._files = files
        self._codec = codec
        self._clock = clock
        self._rows = rows
        self.provider = provider
        self.labels: Mapping[str, Sequence[bytes]] = {}
        self.batching_obstacle = "" if self._shares_runs else _REMARKS[rows]
        self.plan = NO_PLAN
        self.graph = "pushed"
        self.remark = _REMARKS.get(rows, "")
        self.memory_bytes = 0

    @property
    def _shares_runs(self) -> bool:
        return self._rows not in (Rows.MIXED, Rows.ONE)

    @property
    def _most_tokens(self) -> int:
        return MOST_TOKENS if self.provider == Provider.CPU else MOST_TOKENS_ON_DEVICE

    def start_encoder(self, watchdog: RunWatchdog) -> OpenModel:
        """Make its encoder, once; whoever closes this stops that before."""
        files, config = self._files, self._record.config
        encoding = Encoding(
            name=self._record.key,
            config=config,
            context_length=files.context_length,
            pooling=files.pooling,
            normalizes=files.normalizes,
            pad_token=files.pad_token,
            shares_runs=self._shares_runs,
            pads=self._rows is Rows.EXACT,
            fixed_length=files.graph.fixed_length,
            max_batch_tokens=config.encoding.max_batch_tokens or self._most_tokens,
        )
        return OpenModel(
            self._record.language or files.facts(""),
            config.encoding,
            self._codec,
            TokenBatcher(encoding, self._session, self._clock, watchdog, self.rest),
            self._codec.end_tokens,
            files.dimensions,
        )

    def new_handle(self) -> RunHandle:
        """Return what ends a run that is begun with it."""
        return self._session.new_handle()

    def rest(self) -> None:
        """Give back what runs took beside the weights, and what the C library keeps."""
        with suppress(RunFailed):
            if self.provider == Provider.CPU:
                _run_one(self._session, self._files, session_options.shrinking_run_options())
        return_freed_memory()

    def probe(self) -> str:
        """Encode a token: its error; empty where it works."""
        try:
            _run_one(self._session, self._files)
        except RunFailed as failure:
            return str(failure)
        return ""

    def close(self) -> None:
        """Give the memory back. Its encoder has been stopped before."""
        self._session.close()
        return_freed_memory()


def open_encoder(
    graph_path: Path, record: VersionRecord, defaults: RuntimeDefaults, clock: Clock
) -> OpenEncoder:
    """Open and try a version; the caller closes it. Blocks.

    Raises FailedPrecondition (LANGUAGE_EXTRA_MISSING, PROVIDER_UNAVAILABLE, MODEL_UNLOADABLE,
    WARM_UP_FAILED, LOAD_TIMEOUT, LOAD_TOO_LARGE, CUSTOM_OPERATORS_UNAVAILABLE), InvalidArgument
    (LANGUAGE_FILES_INVALID, ENCODER_UNSUPPORTED) and Unavailable (OUT_OF_MEMORY).
    """
    return_freed_memory()
    before = resident_bytes()
    options = _options(record, defaults)

    def cancel() -> None:
        options.set_load_cancellation_flag(True)

    with load_limit(record.key, defaults.load_bounds, cancel):
        session = _open_session(graph_path, record, options, defaults)
        opened = _opened(graph_path, record, session, clock)
    return_freed_memory()
    opened.memory_bytes = max(0, resident_bytes() - before)
    return opened


def _opened(graph_path: Path, record: VersionRecord, session: Any, clock: Clock) -> OpenEncoder:
    root, files = _files(graph_path, record, session)
    codec = EncoderCodec(root, files)
    runner = GraphSession(session, files)
    try:
        rows = _try(runner, files, codec.size)
    except RunFailed as failure:
        raise FailedPrecondition(
            "WARM_UP_FAILED", f"{record.key} cannot encode a single token: {failure}"
        ) from failure
    provider = execution_providers.short_name(session.get_providers()[0])
    return OpenEncoder(record, runner, files, codec, provider, clock, rows)


def _try(runner: GraphSession, files: EncoderFiles, tokens: int) -> Rows:
    """Run it, and find out whether texts may share a run."""
    _run_one(runner, files)
    if files.graph.fixed_rows:
        return Rows.ONE
    known = min(tokens, files.vocabulary_size or tokens)
    try:
        texts = TrialTexts(known, files.pad_token, files.context_length, files.graph.fixed_length)
        return try_rows(runner, files.pooling, texts)
    except RunFailed as failure:  # several rows, or some tokens, are too much for it
        logger.warning("texts run one at a time: %s", failure)
        return Rows.MIXED


def _run_one(runner: GraphSession, files: EncoderFiles, handle: RunHandle | None = None) -> None:
    request = EncodingRequest([[0]])
    batch = batch_of([(request, 0)], files.graph.fixed_length or 1, files.pad_token)
    runner.run(batch, handle or runner.new_handle())


def _options(record: VersionRecord, defaults: RuntimeDefaults) -> Any:
    config = record.config
    libraries = find_libraries(config.session.custom_operators, defaults.custom_operators)
    options = session_options.build(
        config, defaults.cores, spinning=defaults.spinning, libraries=libraries
    )
    # It keeps a plan for every shape that it meets, of which texts have hundreds.
    options.enable_mem_pattern = False
    return options


def _open_session(
    graph_path: Path, record: VersionRecord, options: Any, defaults: RuntimeDefaults
) -> Any:
    found = defaults.hardware()
    told = record.config.provider_options
    providers = execution_providers.choose(record.config.provider, found, defaults.devices, told)
    if len(providers) > 1:
        execution_providers.load_cuda_libraries()
    try:
        session = onnxruntime.InferenceSession(
            str(graph_path), options, providers=providers, enable_fallback=0
        )
    except RUNTIME_ERRORS as error:
        failure = run_failed(error, graph_path.parent)
        if isinstance(failure, OutOfMemory):
            raise no_memory(record, failure) from error
        raise FailedPrecondition(
            "MODEL_UNLOADABLE", f"onnx runtime cannot open {record.key}: {failure}"
        ) from error
    execution_providers.refuse_fallback(record.config.provider, session.get_providers(), found)
    return session


def _files(graph_path: Path, record: VersionRecord, session: Any) -> tuple[Path, EncoderFiles]:
    root = encoder_root(folder_of(graph_path, record), record.graph_path)
    graph = encoder_graph(ends_of_session(session))
    if root is not None and graph is not None:
        files = read_encoder_files(root, graph, record.config.encoding)
        if files is not None:
            return root, files
    raise FailedPrecondition(
        "MODEL_UNLOADABLE", f"the files of {record.key} describe no encoder: push it again"
    )
