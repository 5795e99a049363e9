"""Calls join, wait, pause, leave and fail, each for itself, and an engine that stops finishes them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from headrace.errors import HeadraceError
from headrace.state.language_records import GenerationConfig
from headrace.state.records import Priorities, QueuePolicy, ServingConfig, TimeoutAction
from headrace_inference.adapters.system_clock import SystemClock
from headrace_inference.domain.generation.engine import EngineLoad
from headrace_inference.domain.generation.requests import (
    FinishReason,
    GeneratedChunk,
    GenerationRequest,
    SamplingOptions,
    StopConditions,
)
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from tests.language.tiny_models import TinyModel
from tests.unit.inference.generation.batching.engines import (
    GREEDY,
    Caller,
    Running,
    TinyCodec,
    asking,
    running_engine,
)

PROMPT = list(range(30, 50))
LONG = 400
"""More tokens than any test waits for."""


def _reason(attempt: Callable[[], object]) -> str:
    with pytest.raises(HeadraceError) as raised:
        attempt()
    return raised.value.reason


@contextmanager
def _row_taken(running: Running, *, reuses_prefix: bool = True) -> Iterator[Caller]:
    """A call that has a row, and pauses while inside."""
    begun = threading.Event()
    caller = Caller()

    def pause(_: GeneratedChunk) -> None:
        caller.is_full = not begun.is_set()
        begun.set()

    caller.on_chunk = pause
    running.call(asking(PROMPT, 3, reuses_prefix=reuses_prefix), caller=caller)
    assert begun.wait(10)
    try:
        yield caller
    finally:
        caller.is_full = False
        running.engine.wake()


def test_a_call_that_is_cancelled_ends_at_the_next_step(tiny_llama: TinyModel) -> None:
    """Its place is free then, and others are not touched."""
    with running_engine(tiny_llama.folder, max_sequences=1) as running:
        caller = Caller()
        call, _ = running.call(asking(PROMPT, LONG), caller=caller)
        caller.on_chunk = lambda _: setattr(call, "cancelled", True)
        other = running.submit(asking(PROMPT, 3))
        assert len(other.tokens()) == 3
        assert _reason(caller.tokens) == "CANCELLED"
        assert len(caller.chunks) <= 2


def test_a_call_ends_at_its_deadline(tiny_llama: TinyModel) -> None:
    """While it runs as while it waits; what came before is delivered."""
    with running_engine(tiny_llama.folder, max_sequences=1) as running:
        deadline = SystemClock().monotonic_ns() + 100_000_000
        caller = Caller(on_chunk=lambda _: setattr(caller, "is_full", True))
        running.call(asking(PROMPT, LONG), deadline, caller)
        waiting = running.submit(asking(PROMPT, 1), deadline)
        assert "DEADLINE_EXCEEDED" == _reason(caller.tokens) == _reason(waiting.tokens)
        assert len(caller.chunks) <= 1


def test_a_caller_that_reads_too_slowly_pauses(tiny_llama: TinyModel) -> None:
    """Others go on; it does where it was, once it is woken."""
    with running_engine(tiny_llama.folder) as running:
        slow = Caller()

        def fill(chunk: GeneratedChunk) -> None:
            slow.is_full = len(slow.chunks) == 3

        slow.on_chunk = fill
        running.call(asking(PROMPT, 8), caller=slow)
        while not slow.is_full:  # the other comes when this one pauses
            time.sleep(0.001)
        expected = running.submit(asking(PROMPT, 8)).tokens()
        assert len(slow.chunks) == 3
        slow.is_full = False
        running.engine.wake()
        assert slow.tokens() == expected


def test_an_exception_of_one_caller_ends_its_call_alone(tiny_llama: TinyModel) -> None:
    """Whatever its sink raises."""

    def fail(_: GeneratedChunk) -> None:
        raise RuntimeError("broken sink")

    with running_engine(tiny_llama.folder) as running:
        broken = Caller(on_chunk=fail)
        running.call(asking(PROMPT, 8), caller=broken)
        others = [running.submit(asking(PROMPT, 8)) for _ in range(3)]
        assert [8, 8, 8] == [len(other.tokens()) for other in others]
        assert _reason(broken.tokens) == "INTERNAL"


def test_a_prompt_over_the_kv_cache_is_refused_with_the_numbers(tiny_llama: TinyModel) -> None:
    """It could never run."""
    with running_engine(tiny_llama.folder, kv_tokens=64) as running:
        with pytest.raises(HeadraceError, match="64 tokens") as raised:
            running.submit(asking([5] * 64, 1))
        assert raised.value.reason == "KV_CACHE_TOO_SMALL"
        assert len(running.submit(asking([5] * 40, 100)).tokens()) == 24  # to the cache's end


def test_a_prompt_without_tokens_is_refused(tiny_llama: TinyModel) -> None:
    """There is nothing to go on from."""
    with running_engine(tiny_llama.folder) as running:
        assert _reason(lambda: running.submit(asking([], 1))) == "PROMPT_EMPTY"


def test_calls_over_the_bound_of_the_queue_are_refused(tiny_llama: TinyModel) -> None:
    """As requests of tensors are."""
    config = ServingConfig(queue=QueuePolicy(max_requests=1))
    with running_engine(tiny_llama.folder, max_sequences=1, config=config) as running:
        with _row_taken(running):
            waiting = running.submit(asking(PROMPT, 1))
            assert _reason(lambda: running.submit(asking(PROMPT, 1))) == "QUEUE_FULL"
        assert len(waiting.tokens()) == 1


def test_calls_over_the_bound_of_all_are_refused(tiny_llama: TinyModel) -> None:
    """Those that run count, too."""
    with running_engine(
        tiny_llama.folder, config=ServingConfig(max_in_flight_requests=1)
    ) as running:
        with _row_taken(running) as first:
            assert _reason(lambda: running.submit(asking(PROMPT, 1))) == "MAX_IN_FLIGHT_REACHED"
        first.tokens()
        assert len(running.submit(asking(PROMPT, 1)).tokens()) == 1


def test_a_call_says_how_long_it_waits_where_its_queue_lets_it(tiny_llama: TinyModel) -> None:
    """Beside others that wait for as long as it takes."""
    config = ServingConfig(queue=QueuePolicy(allow_timeout_override=True))
    with (
        running_engine(tiny_llama.folder, max_sequences=1, config=config) as running,
        _row_taken(running),
    ):
        waiting = running.submit(replace(asking(PROMPT, 1), timeout_us=1000))
        assert _reason(waiting.tokens) == "QUEUE_TIMEOUT"


def test_a_call_that_waited_too_long_is_refused(tiny_llama: TinyModel) -> None:
    """By the timeout of its level."""
    queues = {2: QueuePolicy(timeout_microseconds=1000)}
    config = ServingConfig(priorities=Priorities(levels=2, default_level=1, queues=queues))
    with (
        running_engine(tiny_llama.folder, max_sequences=1, config=config) as running,
        _row_taken(running),
    ):
        waiting = running.submit(replace(asking(PROMPT, 1), priority=2))
        assert _reason(waiting.tokens) == "QUEUE_TIMEOUT"


@pytest.mark.parametrize(
    ("config", "priorities", "expected"),
    [
        (ServingConfig(), (0, 0, 0), [0, 1, 2]),
        (ServingConfig(priorities=Priorities(levels=2, default_level=2)), (2, 0, 1), [2, 0, 1]),
        (
            ServingConfig(
                queue=QueuePolicy(timeout_microseconds=1, timeout_action=TimeoutAction.DELAY)
            ),
            (0, 0, 0),
            [0, 1, 2],
        ),
    ],
    ids=["first come", "levels", "delayed"],
)
def test_those_that_wait_come_in_by_level_and_then_as_they_came(
    tiny_llama: TinyModel,
    config: ServingConfig,
    priorities: tuple[int, int, int],
    expected: list[int],
) -> None:
    """One after the other, where one runs at a time."""
    order: list[int] = []
    with running_engine(tiny_llama.folder, max_sequences=1, config=config) as running:
        callers = [
            Caller(on_chunk=lambda _, place=place: order.append(place))  # type: ignore[misc]  # its default
            for place in range(3)
        ]
        with _row_taken(running):
            for caller, priority in zip(callers, priorities, strict=True):
                running.call(replace(asking(PROMPT, 1), priority=priority), caller=caller)
        for caller in callers:
            caller.tokens()
    assert expected == order


def test_stopping_finishes_what_was_taken(tiny_llama: TinyModel) -> None:
    """What comes after is told to ask the route again."""
    with running_engine(tiny_llama.folder, max_sequences=1) as running:
        callers = [running.submit(asking(PROMPT, 30)) for _ in range(3)]
        running.engine.stop()
        assert [30, 30, 30] == [len(caller.tokens()) for caller in callers]
        with pytest.raises(SchedulerStopped):
            running.submit(asking(PROMPT, 1))


def test_nothing_is_left_of_calls_that_ended(tiny_llama: TinyModel) -> None:
    """Neither sequences nor tokens, but those that are kept for prompts to come."""
    with running_engine(tiny_llama.folder) as running:
        for caller in [running.submit(asking(PROMPT, 5, choices=3)) for _ in range(4)]:
            caller.tokens(2)
        running.engine.stop()
        capacity = running.engine.load.kv_capacity_tokens
        assert EngineLoad(0, 0, 0, capacity, len(PROMPT)) == running.engine.load


def test_choices_share_one_reading_of_the_prompt(tiny_llama: TinyModel) -> None:
    """Greedy ones are equal; the prompt is counted once."""
    with running_engine(tiny_llama.folder) as running:
        caller = running.submit(asking(PROMPT, 6, choices=4))
        assert len({tuple(caller.tokens(choice)) for choice in range(4)}) == 1
        assert caller.usage is not None
        assert (20, 24) == (caller.usage.prompt_tokens, caller.usage.completion_tokens)


def test_the_model_s_own_end_ends_an_answer(tiny_llama: TinyModel) -> None:
    """And so does a stop token; the end is counted and has no text."""
    first = tiny_llama.greedy(PROMPT, 3)
    with running_engine(tiny_llama.folder) as running:
        request = GenerationRequest(
            PROMPT, StopConditions(9, token_ids=frozenset({first[2]})), GREEDY
        )
        caller = running.submit(request)
        assert first == caller.tokens()
        last = caller.chunks[-1]
        assert (FinishReason.STOP, first[2]) == (last.finish, last.stopped_by)
        assert TinyCodec().decode(first[:2], skip_special_tokens=True) == caller.text()


def test_a_prompt_is_scored_in_one_reading(tiny_llama: TinyModel) -> None:
    """Each token from the second on, as plain arithmetic scores it; nothing is generated."""
    logits = tiny_llama.logits(PROMPT)[:-1].astype(np.float64)
    shares = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = [shares[place, token] for place, token in enumerate(PROMPT[1:])]
    request = GenerationRequest(PROMPT, StopConditions(0), prompt_logprobs=2)
    with running_engine(tiny_llama.folder) as running:
        for _ in range(2):  # not from what is kept of the first
            caller = running.submit(request)
            assert caller.tokens() == []
            assert [one.token for one in caller.scores] == PROMPT[1:]
            assert np.allclose([one.logprob for one in caller.scores], expected, atol=1e-4)
            assert [FinishReason.LENGTH] == [chunk.finish for chunk in caller.chunks]


@pytest.mark.parametrize("chunk", [0, 16])
def test_scores_may_begin_late_and_reuse_what_is_before(tiny_llama: TinyModel, chunk: int) -> None:
    """Of a prompt that was read before only what is scored is read again, and scored as if all were."""
    prompt = PROMPT * (64 // len(PROMPT) + 1)
    every = GenerationRequest(prompt, StopConditions(0), prompt_logprobs=2)
    late = replace(every, scored_from=50)
    generation = GenerationConfig(prefill_tokens_per_step=chunk)
    with running_engine(tiny_llama.folder, generation=generation) as running:
        callers = [running.submit(request) for request in (every, late, late)]
        for caller in callers:
            assert caller.tokens() == []
    whole = [score.logprob for score in callers[0].scores]
    for caller in callers[1:]:
        assert [score.token for score in caller.scores] == prompt[50:]
        assert np.allclose([score.logprob for score in caller.scores], whole[49:], atol=1e-5)
    usages = [caller.usage.cached_tokens for caller in callers if caller.usage is not None]
    assert (usages[0], max(usages) < 50, usages[2] > 0) == (0, True, True)


@pytest.mark.parametrize("shared", [True, False])
def test_a_prompt_that_is_not_shared_is_of_no_use_to_others(
    tiny_llama: TinyModel, shared: bool
) -> None:
    """Not while it runs either: else what others are told of reuse would tell them the prompt."""
    with running_engine(tiny_llama.folder) as running, _row_taken(running, reuses_prefix=shared):
        other = running.submit(asking(PROMPT, 2))
        assert other.tokens() == tiny_llama.greedy(PROMPT, 2)
    assert other.usage is not None
    assert (other.usage.cached_tokens > 0) is shared


def test_a_panic_of_a_library_ends_what_runs_and_no_more(tiny_llama: TinyModel) -> None:
    """It is no Exception, and later calls are served."""

    class Panic(BaseException): ...

    def fail(_: GeneratedChunk) -> None:
        raise Panic

    with running_engine(tiny_llama.folder) as running:
        assert _reason(running.call(asking(PROMPT, 3), caller=Caller(on_chunk=fail))[1].tokens)
        assert running.submit(asking(PROMPT, 2)).tokens() == tiny_llama.greedy(PROMPT, 2)


def test_options_are_each_call_s_own(tiny_llama: TinyModel) -> None:
    """A bias of one does not reach its neighbours."""
    biased = SamplingOptions(temperature=0, logit_bias={77: 100.0})
    with running_engine(tiny_llama.folder) as running:
        callers = [running.submit(asking(PROMPT, 4, each)) for each in (biased, GREEDY, biased)]
        found = [caller.tokens() for caller in callers]
    assert [[77] * 4, tiny_llama.greedy(PROMPT, 4), [77] * 4] == found
