"""Runs the steps of a decoder, watched, and says which sequences failed with which error."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headrace.errors import HeadraceError
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.generation.batching.decoder import Decoder
from headrace_inference.domain.generation.batching.sequences import SequenceState, calls_of
from headrace_inference.domain.generation.requests import GenerationCall
from headrace_inference.domain.scheduling.failure_detector import FailureStreak
from headrace_inference.domain.scheduling.request_failures import error_of
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.runner import RunFailed
from headrace_inference.domain.scheduling.watchdog import RunWatchdog


class StepFailed(Exception):
    """A run failed, or `was_ended` by the watchdog: the errors that its sequences get for it."""

    def __init__(
        self, errors: Sequence[tuple[SequenceState, HeadraceError]], *, was_ended: bool = False
    ) -> None:
        super().__init__(f"a run of {len(errors)} sequences failed")
        self.errors = errors
        self.was_ended = was_ended


class StepRuns:
    """Runs with a handle by which the watchdog ends them; a spent handle is replaced."""

    def __init__(
        self,
        name: str,
        decoder: Decoder,
        clock: Clock,
        watchdog: RunWatchdog,
        failures: FailureStreak,
    ) -> None:
        self._name = name
        self._decoder = decoder
        self._now_ns = clock.monotonic_ns
        self._watchdog = watchdog
        self._failures = failures
        self._handle = decoder.new_handle()
        self.busy_ns = 0
        """How long all runs took, those that failed, too."""

    def read(self, sequence: SequenceState, tokens: int, *, every: bool) -> Array:
        """Read so many tokens of a prompt. Raises StepFailed."""
        start = sequence.length
        part = sequence.tokens[start : start + tokens]
        return self._watched(
            [sequence],
            lambda: self._decoder.extend(sequence.row, part, start, self._handle, every=every),
        )

    def decode(self, sequences: Sequence[SequenceState]) -> Array:
        """Append to each of the sequences in the first rows its next token. Raises StepFailed."""
        tokens = [one.tokens[one.length] for one in sequences]
        lengths = [one.length for one in sequences]
        return self._watched(sequences, lambda: self._decoder.decode(tokens, lengths, self._handle))

    def probe(self, row: int) -> str:
        """Run a token in a free row: the error; empty where it works."""
        try:
            if not self._decoder.row_tokens:
                return ""
            self._decoder.extend(row, [0], 0, self._decoder.new_handle())
        except RunFailed as failure:
            return str(failure)
        return ""

    def error_for(self, call: GenerationCall, now_ns: int) -> HeadraceError:
        """Return what a call gets that nobody waits for any more."""
        return self._watchdog.error_for(call, call.started_ns, now_ns)

    def _watched(self, sequences: Sequence[SequenceState], run: Callable[[], Array]) -> Array:
        began = self._now_ns()
        ticket = self._watchdog.begin(calls_of(sequences), self._handle, began)
        try:
            logits = run()
        except RunFailed as failure:
            if self._was_ended(ticket):
                raise StepFailed(self._ended(sequences, began), was_ended=True) from failure
            self._failures.add(failure)
            error = error_of(self._name, failure)
            raise StepFailed([(one, error) for one in sequences]) from failure
        finally:
            self.busy_ns += self._now_ns() - began
        self._was_ended(ticket)
        self._failures.length = 0
        return logits

    def _was_ended(self, ticket: int) -> bool:
        """Take a run out of the watchdog's sight; whether that ended it, which spends its handle."""
        was_ended = not self._watchdog.end(ticket)
        if was_ended:
            self._handle = self._decoder.new_handle()
        return was_ended

    def _ended(
        self, sequences: Sequence[SequenceState], began: int
    ) -> list[tuple[SequenceState, HeadraceError]]:
        now = self._now_ns()
        return [(one, self._watchdog.error_for(one.progress.call, began, now)) for one in sequences]
