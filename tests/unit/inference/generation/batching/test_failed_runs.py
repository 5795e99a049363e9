"""A run that fails, hangs or breaks ends the calls that it was for, and the engine goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from headrace.errors import HeadraceError
from headrace.state.records import ServingConfig
from headrace_inference.adapters.generation.decoder_session import DecoderSession
from headrace_inference.adapters.system_clock import SystemClock
from headrace_inference.domain.generation.batching.continuous_batching import ContinuousBatching
from headrace_inference.domain.generation.tokens.choice_writer import WriterTools
from headrace_inference.domain.generation.tokens.text_stream import TextStream
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.runner import RunFailed
from headrace_inference.domain.scheduling.watchdog import RunHandle, RunWatchdog
from tests.language.tiny_models import TinyModel
from tests.unit.inference.generation.batching.engines import (
    Caller,
    Running,
    TinyCodec,
    asking,
    open_tiny_decoder,
)

PROMPT = list(range(30, 50))
BAD = 599
"""A token that a faulty decoder cannot run."""


class DeviceLost(RunFailed):
    """What a device says that is gone."""

    is_fatal = True


class FaultyDecoder:
    """A real decoder whose runs meet faults first."""

    def __init__(
        self, decoder: DecoderSession, fault: Callable[[Sequence[int], RunHandle], None]
    ) -> None:
        self._decoder = decoder
        self._fault = fault
        self.facts, self.rows = decoder.facts, decoder.rows
        self.grow, self.copy, self.move = decoder.grow, decoder.copy, decoder.move
        self.free, self.rest, self.close = decoder.free, decoder.rest, decoder.close
        self.new_handle = decoder.new_handle

    @property
    def row_tokens(self) -> int:
        """As the real one."""
        return self._decoder.row_tokens

    def decode(self, tokens: Sequence[int], lengths: Sequence[int], handle: RunHandle) -> Array:
        """As the real one, after the fault."""
        self._fault(tokens, handle)
        return self._decoder.decode(tokens, lengths, handle)

    def extend(
        self,
        row: int,
        tokens: Sequence[int],
        length: int,
        handle: RunHandle,
        *,
        every: bool = False,
    ) -> Array:
        """As the real one, after the fault."""
        self._fault(tokens, handle)
        return self._decoder.extend(row, tokens, length, handle, every=every)


@contextmanager
def faulty_engine(
    model: TinyModel,
    fault: Callable[[Sequence[int], RunHandle], None],
    *,
    watchdog: RunWatchdog | None = None,
    broken: Callable[[str], None] = lambda _: None,
) -> Iterator[Running]:
    """Run an engine whose runs meet a fault."""
    decoder = open_tiny_decoder(model.folder, 9)
    engine = ContinuousBatching(
        "tiny",
        FaultyDecoder(decoder, fault),
        ServingConfig(),
        WriterTools(frozenset(), lambda request: TextStream(TinyCodec(), request.stop)),
        SystemClock(),
        kv_cache_bytes=1 << 20,
        max_sequences=4,
        watchdog=watchdog,
        broken=broken,
    )
    try:
        yield Running(engine, decoder)
    finally:
        engine.stop()
        decoder.close()


def _bad_token(tokens: Sequence[int], _: RunHandle) -> None:
    if BAD in tokens:
        raise RunFailed("this token cannot run")


def _reason(caller: Caller) -> str:
    with pytest.raises(HeadraceError) as raised:
        caller.tokens()
    return raised.value.reason


def test_a_prompt_that_cannot_be_read_fails_alone(tiny_llama: TinyModel) -> None:
    """Those beside it answer as ever."""
    with faulty_engine(tiny_llama, _bad_token) as running:
        callers = [running.submit(asking(each, 6)) for each in (PROMPT, [*PROMPT, BAD], PROMPT)]
        assert _reason(callers[1]) == "RUN_FAILED"
        expected = tiny_llama.greedy(PROMPT, 6)
        assert [expected, expected] == [callers[0].tokens(), callers[2].tokens()]


def test_of_a_step_that_fails_those_go_on_that_can(tiny_llama: TinyModel) -> None:
    """Each is tried alone: its tokens are the same, and nobody pays for a neighbour."""
    expected = tiny_llama.greedy(PROMPT, 8)

    def fault(tokens: Sequence[int], _: RunHandle) -> None:
        if expected[3] in tokens and len(tokens) < len(PROMPT):
            raise RunFailed("this token cannot run")

    other = PROMPT[::-1]
    with faulty_engine(tiny_llama, fault) as running:
        failing, going_on = running.submit(asking(PROMPT, 8)), running.submit(asking(other, 8))
        assert _reason(failing) == "RUN_FAILED"
        assert tiny_llama.greedy(other, 8) == going_on.tokens()
    assert expected[:4] == [token for chunk in failing.chunks for token in chunk.tokens]


def test_a_step_that_hangs_ends_with_its_callers(tiny_llama: TinyModel) -> None:
    """The watchdog ends it once nobody waits; the next call is served."""
    hangs = threading.Event()
    entered = threading.Event()

    def fault(_: Sequence[int], handle: RunHandle) -> None:
        if hangs.is_set():
            entered.set()
            while not handle.terminate:
                threading.Event().wait(0.001)
            raise RunFailed("terminated")

    watchdog = RunWatchdog(SystemClock())
    with faulty_engine(tiny_llama, fault, watchdog=watchdog) as running, watchdog.watching():
        hangs.set()
        call, caller = running.call(asking(PROMPT, 6))
        assert entered.wait(10)
        call.cancelled = True
        assert _reason(caller) == "CANCELLED"
        hangs.clear()
        assert len(running.submit(asking(PROMPT, 6)).tokens()) == 6


def test_a_device_that_is_lost_is_told_once(tiny_llama: TinyModel) -> None:
    """After so many runs that failed as those of every version; calls fail meanwhile."""
    told: list[str] = []

    def fault(_: Sequence[int], __: RunHandle) -> None:
        raise DeviceLost("CUDA failure 999")

    with faulty_engine(tiny_llama, fault, broken=told.append) as running:
        for _ in range(20):
            assert _reason(running.submit(asking(PROMPT, 1))) == "RUN_FAILED"
    assert ["CUDA failure 999"] == told


def test_callers_with_wrong_prompts_break_nothing(tiny_llama: TinyModel) -> None:
    """The decoder works on a token that it was not given by them."""
    told: list[str] = []
    with faulty_engine(tiny_llama, _bad_token, broken=told.append) as running:
        running.submit(asking(PROMPT, 1)).tokens()
        for _ in range(20):
            assert _reason(running.submit(asking([BAD] * 3, 1))) == "RUN_FAILED"
    assert told == []


def test_a_bug_ends_what_runs_and_nothing_else(
    tiny_llama: TinyModel, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and later calls are served."""

    def fault(tokens: Sequence[int], _: RunHandle) -> None:
        if BAD in tokens:
            raise ZeroDivisionError

    with faulty_engine(tiny_llama, fault) as running:
        assert _reason(running.submit(asking([BAD] * 3, 1))) == "INTERNAL"
        assert len(running.submit(asking(PROMPT, 6)).tokens()) == 6
    logged = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert ["a bug ended a step"] == logged
