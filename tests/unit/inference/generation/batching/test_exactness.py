"""Greedy answers are those of plain arithmetic, token for token, whoever else is in the batch.

The tiny models' logits are a hundredth apart in nearly all places and a millionth uncertain: prompts are
drawn by fixed seeds and their answers compared as they are.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.state.language_records import GenerationConfig
from headrace_inference.domain.generation.requests import SamplingOptions
from tests.language.optimum_form import write_optimum_model
from tests.language.tiny_models import LLAMA, MISTRAL, TinyModel
from tests.unit.inference.generation.batching.engines import Caller, asking, running_engine

MODELS = ["tiny_llama", "tiny_qwen", "tiny_mistral", "optimum_llama", "optimum_mistral"]
ANSWER = 12


@pytest.fixture(scope="module")
def optimum_llama(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """A graph that joins past and present by plain operators."""
    return write_optimum_model(tmp_path_factory.mktemp("optimum"), LLAMA)


@pytest.fixture(scope="module")
def optimum_mistral(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """The same with a sliding window."""
    return write_optimum_model(tmp_path_factory.mktemp("optimum-window"), MISTRAL)


def _plain(model: TinyModel, prompt: list[int], answer: list[int]) -> list[int]:
    """The greedy answer by one uncached run over all: it is `answer`, or differs where that went wrong."""
    logits = model.logits(prompt + answer)
    expected: list[int] = logits[len(prompt) - 1 : -1].argmax(-1).tolist()
    return expected


def _all_plain(
    model: TinyModel, prompts: list[list[int]], answers: list[list[int]]
) -> list[list[int]]:
    return [_plain(model, *each) for each in zip(prompts, answers, strict=True)]


def _prompts(count: int, seed: int, longest: int = 60) -> list[list[int]]:
    random = np.random.default_rng(seed)
    return [random.integers(3, 600, random.integers(1, longest)).tolist() for _ in range(count)]


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> TinyModel:
    """Each of the models."""
    found: TinyModel = request.getfixturevalue(request.param)
    return found


def test_answers_are_those_of_a_plain_forward_run(model: TinyModel) -> None:
    """Alone and in batches of 12, in which all begin and end at other steps."""
    prompts = _prompts(12, seed=1)
    with running_engine(model.folder, max_sequences=4) as running:
        alone = [running.submit(asking(prompt, ANSWER)).tokens() for prompt in prompts[:3]]
        callers = [running.submit(asking(prompt, ANSWER)) for prompt in prompts]
        together = [caller.tokens() for caller in callers]
    expected = _all_plain(model, prompts, together)
    assert (expected[:3], expected) == (alone, together)


@pytest.mark.parametrize("chunk", [2, 7])
def test_prompts_read_in_chunks_have_the_same_answers(model: TinyModel, chunk: int) -> None:
    """Whatever the chunks are."""
    prompts = _prompts(4, seed=2)
    config = GenerationConfig(prefill_tokens_per_step=chunk, prefix_reuse=False)
    with running_engine(model.folder, generation=config) as running:
        callers = [running.submit(asking(prompt, 6)) for prompt in prompts]
        found = [caller.tokens() for caller in callers]
    assert _all_plain(model, prompts, found) == found


def test_prompts_that_begin_alike_have_the_same_answers(model: TinyModel) -> None:
    """What is taken from other rows is what would have been computed."""
    common = _prompts(1, seed=3)[0] + list(range(10, 30))
    prompts = [common + tail for tail in _prompts(6, seed=4, longest=9)]
    prompts += [common[:-4], common, prompts[0] + [5, 6]]
    with running_engine(model.folder, max_sequences=3) as running:
        callers = [running.submit(asking(prompt, 6)) for prompt in prompts]
        found = [caller.tokens() for caller in callers]
    assert _all_plain(model, prompts, found) == found
    assert sum(caller.usage.cached_tokens > 0 for caller in callers if caller.usage) >= 6


def test_sequences_that_were_put_off_have_the_same_answers(model: TinyModel) -> None:
    """The KV cache has room for two of five at their full length: they take turns."""
    prompts = [(prompt * 20)[:50] for prompt in _prompts(5, seed=5)]
    with running_engine(model.folder, max_sequences=5, kv_tokens=320) as running:
        calls = [running.call(asking(prompt, 40)) for prompt in prompts]
        found = [caller.tokens() for _, caller in calls]
    assert _all_plain(model, prompts, found) == found
    assert sum(call.times_put_off for call, _ in calls) >= 1
    assert calls[0][0].times_put_off == 0, "the oldest goes on"


_ARRIVALS = st.lists(
    st.tuples(st.integers(1, 40), st.integers(1, 12), st.integers(0, 6)), min_size=2, max_size=32
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(arrivals=_ARRIVALS, seed=st.integers(0, 3))
def test_joins_and_leaves_change_no_answer(
    tiny_llama: TinyModel, arrivals: list[tuple[int, int, int]], seed: int
) -> None:
    """Calls of random lengths arrive after random numbers of tokens of those before them."""
    _check_arrivals(tiny_llama, arrivals, seed)


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(arrivals=_ARRIVALS, seed=st.integers(0, 3))
def test_nor_with_a_sliding_window(
    tiny_mistral: TinyModel, arrivals: list[tuple[int, int, int]], seed: int
) -> None:
    """The same of another architecture."""
    _check_arrivals(tiny_mistral, arrivals, seed)


def _check_arrivals(model: TinyModel, arrivals: list[tuple[int, int, int]], seed: int) -> None:
    texts = _prompts(1, seed, longest=400)[0] + _prompts(40, seed)[3] * 40
    with running_engine(model.folder, max_sequences=32, kv_tokens=4096) as running:
        waited: list[tuple[list[int], int, Caller]] = []
        for length, count, after in arrivals:
            prompt = texts[after : after + length]
            caller = Caller()
            waited.append((prompt, count, caller))
            running.call(asking(prompt, count), caller=caller)
            if after % 2:
                caller.done.wait()
        for prompt, count, caller in waited:
            assert _plain(model, prompt, caller.tokens()) == caller.tokens()
            assert count == len(caller.tokens())


def test_a_seed_gives_the_same_text_whoever_else_is_there(model: TinyModel) -> None:
    """Alone, again, and among others that come and go."""
    drawn = SamplingOptions(temperature=1.2, top_p=0.95, seed=7)
    prompt = _prompts(1, seed=6)[0]
    others = _prompts(9, seed=7)
    with running_engine(model.folder, max_sequences=6) as running:
        alone = running.submit(asking(prompt, 24, drawn)).tokens()
        callers = [running.submit(asking(each, 9, SamplingOptions())) for each in others[:5]]
        among = running.submit(asking(prompt, 24, drawn))
        callers += [running.submit(asking(each, 9)) for each in others[5:]]
        found = among.tokens()
        for caller in callers:
            caller.tokens()
        choices = running.submit(asking(prompt, 24, drawn, choices=3))
        first = choices.tokens(0)
        assert len({tuple(choices.tokens(each)) for each in range(3)}) == 3
    assert (alone, alone) == (found, first)
