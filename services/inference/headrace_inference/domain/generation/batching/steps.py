"""Takes the steps of an engine: plans one from what runs and waits, and does it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.errors import HeadraceError
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.generation.batching.kv_rows import KvRows
from headrace_inference.domain.generation.batching.pace import PrefillPace
from headrace_inference.domain.generation.batching.sequences import CallProgress, SequenceState
from headrace_inference.domain.generation.batching.step_policy import (
    Room,
    Running,
    Step,
    Waiting,
    chunk_of,
    plan_step,
)
from headrace_inference.domain.generation.batching.step_runs import StepFailed, StepRuns
from headrace_inference.domain.generation.batching.waiting_line import WaitingLine
from headrace_inference.domain.generation.grammars import Grammars
from headrace_inference.domain.generation.requests import GeneratedChunk
from headrace_inference.domain.generation.tokens.logprobs import prompt_scores
from headrace_inference.domain.scheduling.request_failures import error_of
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.runner import OutOfMemory


class Steps:
    """The sequences that have rows, and what is done with them. One thread takes the steps."""

    def __init__(
        self,
        name: str,
        rows: KvRows,
        runs: StepRuns,
        line: WaitingLine,
        pace: PrefillPace,
        clock: Clock,
        most: int,
        grammars: Grammars | None = None,
    ) -> None:
        self._name = name
        self._rows = rows
        self._runs = runs
        self._line = line
        self._pace = pace
        self._now_ns = clock.monotonic_ns
        self._most = most
        self._grammars = grammars
        self.running: list[SequenceState] = []

    @property
    def _decoding(self) -> int:
        """Count those whose prompt was read to its end, paused ones too."""
        return sum([one.length >= one.prompt_length for one in self.running])

    def take(self) -> bool:
        """Take the next step. False: there was nothing to do."""
        now = self._now_ns()
        waiting = self._line.next_ones(self._most - len(self.running), now)
        step, known = self._plan(waiting, now)
        for key in step.leave:
            self._give_up(known[key], now)
        for key in step.put_off:
            self._put_off(known[key])
        decoding = [known[key] for key in step.decode]
        if decoding:
            self._decode(decoding)
        self._read_prompts(step, known, now)
        return not step.is_empty

    def _read_prompts(self, step: Step, known: dict[int, SequenceState], now_ns: int) -> None:
        """Let sequences in, and read of prompts; the first token of one is not held up by a step."""
        chunks = {chunk.key: chunk.tokens for chunk in step.chunks}
        for key in step.admit:
            chunks.setdefault(key, 0)
        before = self._decoding
        # Each is read before the next one enters, which may begin as it does.
        for key, tokens in chunks.items():
            if not step.decode and self._decoding > before:
                break  # one of them goes on now, and the budget was for none
            if known[key].row < 0 and key in step.admit:
                self._admit(known[key], now_ns)
            self._read(known[key], tokens)

    def clear(self) -> list[CallProgress]:
        """Take all out; their calls."""
        calls = {one.progress for one in self.running}
        for one in tuple(self.running):
            self._leave(one)
        return list(calls)

    def probe(self) -> str:
        """Run a token in a row that nobody uses: the error; empty where it works."""
        return self._runs.probe(self._rows.spare_row())

    def _plan(
        self, waiting: Sequence[SequenceState], now_ns: int
    ) -> tuple[Step, dict[int, SequenceState]]:
        """Return the next step, and the sequences by its keys."""
        running = [self._as_running(one, now_ns) for one in self.running]
        decoding = sum([one.decodes and not one.is_paused for one in running])
        unread = sum([not one.decodes for one in running]) + len(waiting)
        books = self._rows.books
        tokens = self._pace.tokens(decoding, min(unread, self._most - decoding))
        room = Room(self._most, books.capacity, books.granule, tokens)
        lined = [
            Waiting(one.key, len(one.tokens), 0 if one.choice else one.prompt_length)
            for one in waiting
        ]
        known = {one.key: one for one in (*self.running, *waiting)}
        return plan_step(running, lined, room), known

    def _as_running(self, one: SequenceState, now_ns: int) -> Running:
        progress = one.progress
        return Running(
            one.key,
            progress.level,
            progress.arrived,
            one.length,
            one.prompt_length,
            self._rows.held_by(one),
            progress.is_unwanted(now_ns),
            progress.call.sink.is_full,
        )

    def _give_up(self, one: SequenceState, now_ns: int) -> None:
        """Let go of a sequence that nobody waits for; its call is told why it ended, if it was not yet."""
        self._leave(one)
        one.progress.fail(self._runs.error_for(one.progress.call, now_ns))

    def _put_off(self, one: SequenceState) -> None:
        self.running.remove(one)
        one.progress.call.times_put_off += 1
        self._rows.put_off(one)
        if not one.has_read:
            one.progress.scores.clear()
        self._line.put_back(one)

    def _admit(self, one: SequenceState, now_ns: int) -> None:
        self._line.take(one, now_ns)
        call = one.progress.call
        if not call.started_ns:
            call.started_ns = now_ns
        try:
            self._rows.enter(one)
        except OutOfMemory as error:
            self._fail([(one, error_of(self._name, error))])
            return
        self.running.append(one)
        if one.choice == 0 and not one.has_read:
            one.progress.cached_tokens = one.length
        logits = one.progress.prompt_logits
        if one.length == one.prompt_length and logits is not None:
            self._begin(one, logits)

    def _read(self, one: SequenceState, tokens: int) -> None:
        """Read so many tokens of a prompt, or those that are left of it."""
        tokens = chunk_of(one.prompt_length - one.length, tokens)
        if one.row < 0 or not tokens:
            return
        scored_from = one.progress.call.request.scored_from
        every = one.wants_scores and one.length + tokens >= scored_from
        began = self._now_ns()
        try:
            logits = self._runs.read(one, tokens, every=every)
        except StepFailed as failed:
            self._fail(failed.errors)
            return
        took_ns = self._now_ns() - began
        self._pace.read(tokens, took_ns, beside_others=self._decoding > 0)
        if every:
            self._score(one, tokens, logits)
        one.length += tokens
        if one.length == one.prompt_length:
            self._prompt_read(one, logits[-1])

    def _score(self, one: SequenceState, tokens: int, logits: Array) -> None:
        """Score the tokens that come after those that were read."""
        request = one.progress.call.request
        start = max(one.length + 1, request.scored_from)
        after = one.tokens[start : min(one.length + 1 + tokens, one.prompt_length)]
        rows = logits[start - one.length - 1 :][: len(after)]
        one.progress.scores += prompt_scores(rows, after, request.prompt_logprobs or 0)

    def _prompt_read(self, one: SequenceState, logits: Array) -> None:
        progress = one.progress
        try:
            if one.wants_scores:
                progress.call.sink.prompt_scored(progress.scores)
        except Exception as error:  # noqa: BLE001  # its sink's fault
            self._fail([(one, error_of(self._name, error))])
            return
        one.has_read = True
        if progress.call.request.choices > 1 and progress.prompt_logits is None:
            progress.prompt_logits = np.array(logits)
        self._begin(one, logits)

    def _begin(self, one: SequenceState, logits: Array) -> None:
        """Go on after the prompt: with the first token, or with those that it had when it was put off."""
        one.has_read = True
        if not one.writer.has_room:
            self._deliver(one, one.writer.end_at_once())
        elif len(one.tokens) == one.prompt_length:
            self._write(one, logits, None)

    def _decode(self, decoding: Sequence[SequenceState]) -> None:
        began = self._now_ns()
        try:
            for one in decoding:
                self._rows.hold(one, one.length + 1)
        except OutOfMemory as error:
            self._fail([(one, error_of(self._name, error)) for one in decoding])
            return
        ordered = self._rows.arrange(decoding)
        self._look_ahead(ordered)
        try:
            logits = self._runs.decode(ordered)
        except StepFailed as failed:
            self._decode_apart(ordered, failed)
            return
        for one in ordered:
            one.length += 1
        self._write_all(ordered, logits)
        self._pace.decoded(self._now_ns() - began)

    def _look_ahead(self, sequences: Sequence[SequenceState]) -> None:
        """Have masks of grammars worked out while the step runs."""
        states = [one.writer.grammar for one in sequences if one.writer.grammar is not None]
        if states and self._grammars is not None:
            self._grammars.look_ahead(states)

    def _decode_apart(self, ordered: Sequence[SequenceState], failed: StepFailed) -> None:
        """Let those go on that can, where a run of several failed."""
        if failed.was_ended or len(ordered) == 1:
            self._fail(failed.errors)
            return
        for one in ordered:
            try:
                logits = self._runs.read(one, 1, every=False)
            except StepFailed as failed_alone:
                self._fail(failed_alone.errors)
                continue
            one.length += 1
            self._write_all([one], logits)

    def _write_all(self, ordered: Sequence[SequenceState], logits: Array) -> None:
        largest: list[int] = []
        if any(one.writer.takes_largest for one in ordered):
            largest = logits.argmax(-1).tolist()
        for place, one in enumerate(ordered):
            if one.length == len(one.tokens):  # else its next token is known: it was put off before
                self._write(one, logits[place], largest[place] if largest else None)

    def _write(self, one: SequenceState, logits: Array, largest: int | None) -> None:
        try:
            token, chunk = one.writer.write(logits, largest)
        except Exception as error:  # noqa: BLE001  # a call's own fault: no other has to do with it
            self._fail([(one, error_of(self._name, error))])
            return
        one.tokens.append(token)
        call = one.progress.call
        if not call.first_token_ns:
            call.first_token_ns = self._now_ns()
        self._deliver(one, chunk)

    def _deliver(self, one: SequenceState, chunk: GeneratedChunk) -> None:
        try:
            one.progress.deliver(chunk)
        except Exception as error:  # noqa: BLE001  # as above
            self._fail([(one, error_of(self._name, error))])
            return
        if chunk.finish is not None:
            self._leave(one)

    def _leave(self, one: SequenceState) -> None:
        if one.row >= 0:
            self.running.remove(one)
            self._rows.leave(one)

    def _fail(self, errors: Sequence[tuple[SequenceState, HeadraceError]]) -> None:
        """Fail calls, and let go of all their choices."""
        for failed, error in errors:
            failed.progress.fail(error)
        gone = {failed.progress for failed, _ in errors}
        for one in [one for one in self.running if one.progress in gone]:
            self._leave(one)
