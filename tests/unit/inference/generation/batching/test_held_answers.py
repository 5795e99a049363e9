"""Answers of an engine that are held to grammars, beside others that are not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import jsonschema_rs
import pytest

from headrace.errors import InvalidArgument
from headrace.language.chats.tool_forms import ToolForm
from headrace.language.chats.tool_reader import CallDelta, ToolCallReader
from headrace.language.tokenizer import TextTokenizer
from headrace_inference.adapters.generation.grammars import LlguidanceGrammars
from headrace_inference.domain.generation.requests import (
    FinishReason,
    GenerationRequest,
    Grammar,
    GrammarKind,
    SamplingOptions,
    StopConditions,
)
from tests.language.tiny_models import TinyModel
from tests.language.tiny_tokenizer import END, START, tiny_tokenizer
from tests.unit.inference.generation.batching.engines import Caller, Running, running_engine

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "old": {"type": "boolean"},
        "n": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["name", "old", "n"],
}
PERSON = Grammar(GrammarKind.JSON_SCHEMA, json.dumps(SCHEMA))
PROMPT = tiny_tokenizer().encode("The miller kept a book").ids


@pytest.fixture
def grammars(tiny_llama: TinyModel) -> Iterator[LlguidanceGrammars]:
    opened = LlguidanceGrammars(
        TextTokenizer(tiny_llama.folder / "tokenizer.json"), tiny_llama.shape.vocabulary_size, {END}
    )
    yield opened
    opened.close()


def _request(seed: int, grammar: Grammar | None, **stop: object) -> GenerationRequest:
    conditions = StopConditions(80, **stop)  # type: ignore[arg-type]  # as they are named
    return GenerationRequest(
        PROMPT, conditions, SamplingOptions(seed=seed, temperature=1.5), grammar=grammar, logprobs=2
    )


def _answers(running: Running, requests: list[GenerationRequest]) -> list[tuple[str, list[int]]]:
    callers = [running.submit(request) for request in requests]
    return [(caller.text(), caller.tokens()) for caller in callers]


def test_answers_fit_and_are_the_same_alone_and_together(
    tiny_llama: TinyModel, grammars: LlguidanceGrammars
) -> None:
    """Those that are held are valid, those that are not are as ever, whoever else is there."""
    requests = [_request(seed, PERSON if seed % 2 else None) for seed in range(8)]
    with running_engine(tiny_llama.folder, grammars=grammars) as running:
        together = _answers(running, requests)
        alone = [_answers(running, [request])[0] for request in requests]
    assert alone == together
    assert all(jsonschema_rs.is_valid(SCHEMA, json.loads(text)) for text, _ in together[1::2])
    assert 8 == len({text for text, _ in together})


def test_a_held_answer_ends_when_nothing_can_follow(
    tiny_llama: TinyModel, grammars: LlguidanceGrammars
) -> None:
    """By itself, as one that stops; every token of it has its scores, and may be improbable."""
    with running_engine(tiny_llama.folder, grammars=grammars) as running:
        caller = running.submit(_request(5, Grammar(GrammarKind.CHOICE, '["yes", "no"]')))
        text, tokens = caller.text(), caller.tokens()
    assert text in ("yes", "no")
    assert FinishReason.STOP == caller.chunks[-1].finish
    scores = [score for chunk in caller.chunks for score in chunk.scores]
    assert tokens == [score.token for score in scores]
    assert all(score.logprob <= score.top[0][1] and 2 == len(score.top) for score in scores)


def test_a_stop_string_within_a_held_answer_stops_it(
    tiny_llama: TinyModel, grammars: LlguidanceGrammars
) -> None:
    """What was asked for first is obeyed, also where the grammar would go on."""
    with running_engine(tiny_llama.folder, grammars=grammars) as running:
        caller = running.submit(_request(1, PERSON, strings=('"old"',)))
        text = caller.text()
    assert '"old"' == caller.chunks[-1].stopped_by
    assert text.startswith('{"name":')
    assert "old" not in text


def test_a_grammar_that_becomes_too_complex_ends_its_call_alone(
    tiny_llama: TinyModel, grammars: LlguidanceGrammars
) -> None:
    """Its caller is told, and the others go on."""
    kinds = " | ".join(f"/[a-z]{{0,{i}}}x[a-z]{{{i}}}/" for i in range(100, 400))
    letters = dict.fromkeys(tiny_tokenizer().encode("xa").ids, 90.0)
    hostile = GenerationRequest(
        PROMPT,
        StopConditions(80),
        SamplingOptions(logit_bias=letters, seed=1),
        grammar=Grammar(GrammarKind.LARK, f"start: {kinds}"),
    )
    with running_engine(tiny_llama.folder, grammars=grammars) as running:
        callers: list[Caller] = [running.submit(hostile), running.submit(_request(3, PERSON))]
        with pytest.raises(InvalidArgument) as raised:
            callers[0].text()
        assert jsonschema_rs.is_valid(SCHEMA, json.loads(callers[1].text()))
    assert "GRAMMAR_TOO_COMPLEX" == raised.value.reason


def test_a_free_answer_that_calls_is_held_from_its_mark_on(
    tiny_llama: TinyModel, grammars: LlguidanceGrammars
) -> None:
    """A model that writes the mark calls a tool by its schema; the text tells it by control tokens."""
    form = ToolForm("<|im_start|>", is_list=True, begin_token=START)
    free = form.free([{"name": "keep", "parameters": SCHEMA}], several=False)
    request = GenerationRequest(
        PROMPT,
        StopConditions(120),
        SamplingOptions(logit_bias={START: 100.0}, seed=2),
        grammar=Grammar(GrammarKind.LARK, free),
        skip_special_tokens=False,
    )
    with running_engine(tiny_llama.folder, grammars=grammars) as running:
        text = running.submit(request).text()
    reader = ToolCallReader(form)
    calls = [part for part in (*reader.push(text), *reader.finish()) if isinstance(part, CallDelta)]
    assert "keep" == calls[0].name
    assert jsonschema_rs.is_valid(SCHEMA, json.loads("".join(call.arguments for call in calls)))
