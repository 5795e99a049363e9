"""Runs the texts of one version's calls, batched by tokens: the domain's `Encoder`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headrace.errors import HeadraceError
from headrace.state.language_records import Pooling
from headrace.state.records import ServingConfig
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.encoding.batch_policy import MOST_PADDING, Limits
from headrace_inference.domain.encoding.buckets import padded_length
from headrace_inference.domain.encoding.call_queue import CallQueue
from headrace_inference.domain.encoding.pooling import normalized, pooled
from headrace_inference.domain.encoding.requests import EncodingCall, Vectors
from headrace_inference.domain.encoding.text_runner import TextRunner, batch_of
from headrace_inference.domain.encoding.waiting_texts import PendingCall, Text
from headrace_inference.domain.scheduling.instance_threads import LINGER_SECONDS, Instances
from headrace_inference.domain.scheduling.queue_refusals import no_thread
from headrace_inference.domain.scheduling.request_failures import error_of
from headrace_inference.domain.scheduling.runner import RunFailed
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from headrace_inference.domain.scheduling.watchdog import RunHandle, RunWatchdog, is_awaited


@dataclass(frozen=True, slots=True)
class Encoding:
    """The settings by which a version's texts run and become vectors."""

    name: str
    config: ServingConfig
    context_length: int
    pooling: Pooling
    normalizes: bool
    pad_token: int = 0
    shares_runs: bool = True
    """Whether texts may run together: a graph that mixes its rows runs them one at a time."""
    pads: bool = True
    """Whether padding changes no vector, so that texts of other lengths may share a run."""
    fixed_length: int = 0
    """The only length that the graph takes; 0: any."""
    max_batch_tokens: int = 1024

    def padded(self, tokens: int) -> int:
        """Return to how many tokens a text of so many is padded when it runs with others of its length.

        What runs alone is not padded: such a graph may look at padding, too.
        """
        if self.fixed_length:
            return self.fixed_length
        return padded_length(tokens, self.context_length) if self.shares_runs else tokens


class TokenBatcher:
    """A queue and the threads that empty it. Whoever made it calls `stop`.

    The threads start when texts wait, and end when none did for a while; meanwhile the watchdog drops
    calls that nobody waits for, and ends their runs. `rest` is called when the last thread is about to end.
    """

    def __init__(
        self,
        encoding: Encoding,
        runner: TextRunner,
        clock: Clock,
        watchdog: RunWatchdog | None = None,
        rest: Callable[[], None] = lambda: None,
        linger_seconds: float = LINGER_SECONDS,
    ) -> None:
        config = encoding.config
        self._encoding = encoding
        self._runner = runner
        self._now_ns = clock.monotonic_ns
        self._watchdog = watchdog or RunWatchdog(clock)
        self._rest = rest
        self._busy_ns = 0
        self._linger_seconds = linger_seconds
        self._max_tokens = encoding.max_batch_tokens
        self._max_texts = self._max_tokens if encoding.shares_runs else 1
        self._padding = MOST_PADDING if encoding.pads else 0
        self._mutex = threading.Lock()
        self._queue = CallQueue(encoding.name, config, encoding.context_length, encoding.padded)
        self._instances = Instances(
            encoding.name, max(1, config.instances), self._serve, self._watched
        )
        self._stopping = False

    @property
    def busy_ns(self) -> int:
        """Tell how long all its runs took together."""
        return self._busy_ns

    @property
    def waiting(self) -> int:
        """Count the texts that wait."""
        return self._queue.texts

    @property
    def in_flight(self) -> int:
        """Count the calls that wait or run."""
        return self._queue.in_flight

    def submit(self, call: EncodingCall) -> None:
        """Take a call; its sink is told how it ends. From any thread; never blocks.

        Raises ResourceExhausted (QUEUE_FULL, QUEUE_WAIT_TOO_LONG, MAX_IN_FLIGHT_REACHED, NO_THREAD),
        DeadlineExceeded, InvalidArgument, and SchedulerStopped where the version takes no more calls.
        """
        with self._mutex:
            if self._stopping:
                raise SchedulerStopped(self._encoding.name)
            pending = self._queue.put(call, self._now_ns())
            has_thread = self._instances.wake_one()
            if not has_thread:
                self._queue.end(pending)
        if not has_thread:
            raise no_thread(self._encoding.name)

    def stop(self) -> None:
        """Take no more calls and finish those that were taken. Blocks until then."""
        with self._mutex:
            self._stopping = True
            self._instances.wake_sleeping()
            threads = list(self._instances.threads)
        for thread in threads:
            thread.join()

    def drop_unwanted(self, now_ns: int) -> None:
        """Fail the calls that need not be run any more; called by the watchdog."""
        with self._mutex:
            refused = self._queue.unwanted(now_ns)
        for pending, refusal in refused:
            self._fail(pending, refusal)

    def _watched(self, active: bool) -> None:  # noqa: FBT001  # as Instances calls it
        (self._watchdog.add if active else self._watchdog.remove)(self)

    def _serve(self) -> None:
        sleeper = threading.Lock()
        sleeper.acquire()
        rested = False
        while True:
            with self._mutex:
                texts, length = self._queue.take(self._limits())
                if not texts and (self._stopping or rested):
                    self._instances.end()
                    return
                if not texts:
                    self._instances.sleeping.append(sleeper)
                elif self._queue.texts:
                    self._instances.wake_one()
            if texts:
                self._run_live(texts, length)
                rested = False
            else:
                rested = self._sleep(sleeper)
                if rested and len(self._instances.threads) == 1 and not self._queue.texts:
                    self._rest()

    def _sleep(self, sleeper: threading.Lock) -> bool:
        """Sleep until woken. True: nobody woke the thread for so long that it should end."""
        if sleeper.acquire(timeout=self._linger_seconds):
            return False
        with self._mutex:
            if sleeper in self._instances.sleeping:
                self._instances.sleeping.remove(sleeper)
                return True
            sleeper.acquire()  # woken between the time-out and the mutex: take the wake-up with us
            return False

    def _limits(self) -> Limits:
        return Limits(self._max_tokens, self._max_texts, self._instances.free + 1, self._padding)

    def _run_live(self, texts: Sequence[Text], length: int) -> None:
        """Run those of the texts whose callers still wait, padded to a length."""
        now = self._now_ns()
        for pending in {pending for pending, _ in texts}:
            with self._mutex:
                refusal = self._queue.refusal(pending, now)
            if refusal is not None:
                self._fail(pending, refusal)
            elif not pending.call.started_ns:
                pending.call.started_ns = now
        live = [text for text in texts if not text[0].ended]
        if live:
            self._run(live, length)

    def _run(self, texts: Sequence[Text], length: int) -> None:
        """Run texts together; where that fails each runs alone, so that one bad text fails alone."""
        handle, started = self._runner.new_handle(), self._now_ns()
        try:
            vectors = self._vectors(texts, length, handle, started)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the fault of one text at most
            if len(texts) > 1:
                for pending, place in texts:
                    self._run_live([(pending, place)], pending.lengths[place])
            else:
                self._fail(texts[0][0], self._error(texts[0][0], error, handle, started))
            return
        self._deliver(texts, vectors)

    def _vectors(
        self, texts: Sequence[Text], length: int, handle: RunHandle, started_ns: int
    ) -> Vectors:
        encoding = self._encoding
        rows = [(pending.call.request, text) for pending, text in texts]
        batch = batch_of(rows, length, encoding.pad_token)
        ticket = self._watchdog.begin([pending.call for pending, _ in texts], handle, started_ns)
        try:
            output = self._runner.run(batch, handle)
        finally:
            self._watchdog.end(ticket)
        vectors = pooled(output, batch.lengths, encoding.pooling)
        vectors = normalized(vectors) if encoding.normalizes else vectors
        now = self._now_ns()
        with self._mutex:
            self._busy_ns += now - started_ns
            self._queue.record_run(batch.token_ids.size, now - started_ns, now)
        return vectors

    def _deliver(self, texts: Sequence[Text], vectors: Vectors) -> None:
        rows: dict[PendingCall, list[int]] = {}
        for row, (pending, _) in enumerate(texts):
            rows.setdefault(pending, []).append(row)
        for pending, of_call in rows.items():
            places = [texts[row][1] for row in of_call]
            with self._mutex:
                is_whole = pending.take(places, vectors[of_call])
                ends = is_whole and self._queue.end(pending)
            if ends and pending.vectors is not None:
                pending.call.sink.encoded(pending.vectors)

    def _fail(self, pending: PendingCall, error: HeadraceError) -> None:
        with self._mutex:
            ends = self._queue.end(pending)
        if ends:
            pending.call.sink.failed(error)

    def _error(
        self, pending: PendingCall, error: Exception, handle: RunHandle, started_ns: int
    ) -> HeadraceError:
        now = self._now_ns()
        if isinstance(error, RunFailed) and (handle.terminate or not is_awaited(pending.call, now)):
            return self._watchdog.error_for(pending.call, started_ns, now)
        return error_of(self._encoding.name, error)
