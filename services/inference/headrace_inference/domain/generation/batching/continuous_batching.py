"""Decodes the calls of one version together: they join and leave at any step."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable

from headrace.errors import Internal, InvalidArgument, ResourceExhausted
from headrace.state.records import ServingConfig
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.generation.batching.decoder import Decoder
from headrace_inference.domain.generation.batching.kv_rows import KvRows
from headrace_inference.domain.generation.batching.pace import PrefillPace
from headrace_inference.domain.generation.batching.sequences import CallProgress, SequenceState
from headrace_inference.domain.generation.batching.step_runs import StepRuns
from headrace_inference.domain.generation.batching.steps import Steps
from headrace_inference.domain.generation.batching.waiting_line import WaitingLine
from headrace_inference.domain.generation.engine import EngineLoad
from headrace_inference.domain.generation.requests import GenerationCall
from headrace_inference.domain.generation.tokens.choice_writer import ChoiceWriter, WriterTools
from headrace_inference.domain.scheduling import queue_refusals as refusals
from headrace_inference.domain.scheduling.failure_detector import FailureStreak
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from headrace_inference.domain.scheduling.watchdog import RunWatchdog

logger = logging.getLogger(__name__)

TRIM_SECONDS = 10.0
"""After so long without work the memory of rows that nobody uses goes back."""

REST_SECONDS = 300.0
"""After so long more all of it does, kept prompts too: until then a chat may go on where it was."""

SWEEP_NS = 50_000_000
"""Those that wait are looked through so often: long lines cost little."""


class ContinuousBatching:
    """The engine. Its thread starts with the first call and ends after a long time without any.

    Whoever opens it stops it, which finishes what was taken, and then closes the decoder. `broken` is told,
    on the engine's thread, if the decoder cannot run any more.
    """

    def __init__(
        self,
        name: str,
        decoder: Decoder,
        config: ServingConfig,
        tools: WriterTools,
        clock: Clock,
        *,
        kv_cache_bytes: int,
        max_sequences: int,
        watchdog: RunWatchdog | None = None,
        broken: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._name = name
        self._decoder = decoder
        self._tools = tools
        self._now_ns = clock.monotonic_ns
        self._max_in_flight = config.max_in_flight_requests
        budget_tokens = kv_cache_bytes // decoder.facts.kv_bytes_per_token
        self._rows = KvRows(decoder, budget_tokens, reuses=config.generation.prefix_reuse)
        longest = config.generation.context_length or decoder.facts.context_length
        self._limit = min(longest, decoder.facts.context_length, self._rows.books.capacity)
        self._line = WaitingLine(name, config)
        failures = FailureStreak(self._probe, broken)
        self._runs = StepRuns(name, decoder, clock, watchdog or RunWatchdog(clock), failures)
        self._steps = Steps(
            name,
            self._rows,
            self._runs,
            self._line,
            PrefillPace(config.generation.prefill_tokens_per_step),
            clock,
            max_sequences,
            tools.grammars,
        )
        self._numbers = itertools.count()
        self._calls: set[CallProgress] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_woken = False
        self._is_stopping = False
        self._swept_ns = 0

    @property
    def load(self) -> EngineLoad:
        """Tell how busy it is; from any thread."""
        running = tuple(self._steps.running)
        return EngineLoad(
            len(running),
            len(self._line),
            sum([one.length for one in running]),
            self._rows.books.capacity,
            self._rows.prefixes.tokens,
            self._runs.busy_ns,
        )

    def submit(self, call: GenerationCall) -> None:
        """Take a call; its sink is told how it ends, whatever happens. From any thread; never blocks.

        Raises InvalidArgument (PROMPT_EMPTY), ResourceExhausted (QUEUE_FULL, QUEUE_WAIT_TOO_LONG,
        NO_THREAD, MAX_IN_FLIGHT_REACHED, KV_CACHE_TOO_SMALL), DeadlineExceeded (DEADLINE_OUT_OF_REACH),
        SchedulerStopped.
        """
        self._check_size(call)
        level = self._line.level_of(call.request.priority)
        progress = CallProgress(call, level, next(self._numbers), self._calls.discard)
        choices = self._choices(progress)
        with self._changed:
            if self._is_stopping:
                raise SchedulerStopped
            self._check_in_flight(level)
            self._start_thread()
            self._line.put(choices, self._now_ns())
            self._calls.add(progress)
            self._notify()

    def wake(self) -> None:
        """Look again: a call was cancelled, or a sink is not full any more. From any thread."""
        with self._changed:
            self._notify()

    def stop(self) -> None:
        """Take no more calls and finish those that were taken. Blocks until then."""
        with self._changed:
            self._is_stopping = True
            self._notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _check_size(self, call: GenerationCall) -> None:
        capacity, tokens = self._rows.books.capacity, len(call.request.prompt)
        if not tokens:
            raise InvalidArgument("PROMPT_EMPTY", "the prompt has no tokens; send some text")
        if tokens < capacity:
            return
        kept = capacity * self._decoder.facts.kv_bytes_per_token / 2**20
        raise ResourceExhausted(
            "KV_CACHE_TOO_SMALL",
            f"the prompt has {tokens} tokens, and {self._name} keeps keys and values of {capacity} tokens "
            f"at most ({kept:.1f} MiB); send a shorter prompt, or push the version with a larger "
            "generation.kv_cache_bytes",
            facts={"limit_tokens": str(capacity), "setting": "generation.kv_cache_bytes"},
        )

    def _check_in_flight(self, level: int) -> None:
        if self._max_in_flight and len(self._calls) >= self._max_in_flight:
            wait_ns = self._line.expected_wait_ns(level, self._now_ns())
            raise refusals.over_limit(self._name, self._max_in_flight, wait_ns)

    def _choices(self, progress: CallProgress) -> list[SequenceState]:
        request = progress.call.request
        return [
            SequenceState(progress, each, ChoiceWriter(request, each, self._tools, self._limit))
            for each in range(request.choices)
        ]

    def _start_thread(self) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._serve, name=f"{self._name}-generation", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise refusals.no_thread(self._name) from error
        self._thread = thread

    def _notify(self) -> None:
        self._is_woken = True
        self._changed.notify()

    def _serve(self) -> None:
        while self._wait_for_work():
            try:
                self._take_step()
            except BaseException:  # a bug, or a library's panic: later calls are served
                logger.exception("a bug ended a step", extra={"version": self._name})
                self._fail_all()

    def _take_step(self) -> None:
        self._is_woken = False
        self._sweep(self._now_ns())
        if not self._steps.take() and not self._line.has_unwanted:
            self._wait_for_change()

    def _sweep(self, now_ns: int) -> None:
        """Fail those that wait in vain."""
        if self._line.has_unwanted or (len(self._line) and now_ns - self._swept_ns >= SWEEP_NS):
            self._swept_ns = now_ns
            for progress, error in self._line.drop_unwanted(now_ns):
                progress.fail(error)

    def _wait_for_work(self) -> bool:
        """Wait until there is a call. False: the thread ends, and holds nothing."""
        if self._has_work():
            return True
        for seconds, give_back in (
            (TRIM_SECONDS, self._rows.trim),
            (REST_SECONDS, self._rows.rest),
        ):
            with self._changed:
                self._changed.wait_for(lambda: self._has_work() or self._is_stopping, seconds)
            if self._has_work():
                return True
            if not self._is_stopping:
                give_back()
        with self._changed:
            if not self._has_work():
                self._thread = None
                return False
        return True

    def _has_work(self) -> bool:
        return bool(len(self._line) or self._steps.running)

    def _wait_for_change(self) -> None:
        """Wait where no sequence can go on: until something changes, or until it is time to look."""
        with self._changed:
            if not self._is_woken:
                self._changed.wait(SWEEP_NS / 1e9)

    def _fail_all(self) -> None:
        error = Internal("INTERNAL", "the generation failed; the replica's log has the details")
        for progress in [*self._line.clear(), *self._steps.clear()]:
            progress.fail(error)

    def _probe(self) -> str:
        return self._steps.probe()
