"""Answers that call tools are held to the tools' schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headrace.language.chats.tool_forms import PLAIN_FORM, ToolForm, tool_form
from headrace.language.chats.tool_reader import CallDelta, ToolCallReader
from headrace.language.tokenizer import TextTokenizer
from headrace_inference.adapters.generation.grammars import LlguidanceGrammars
from headrace_inference.domain.generation.requests import Grammar, GrammarKind
from tests.language.tiny_tokenizer import BEGIN, END, START, write_tiny_tokenizer

TOOLS: list[dict[str, Any]] = [
    {
        "name": "add",
        "parameters": {
            "type": "object",
            "properties": {"x": {"type": "boolean"}},
            "required": ["x"],
        },
    },
    {"name": 'a"b'},
]
MISTRAL = ToolForm("[TOOL_CALLS]", is_list=True)
SPECIAL = ToolForm("<|im_start|>", is_list=True, begin_token=START)
LLAMA = ToolForm("<|im_start|>", arguments="parameters", begin_token=START, is_begun=False)
BARE = ToolForm(arguments="parameters", is_begun=False)
FORMS = [
    PLAIN_FORM,
    replace(PLAIN_FORM, begin="<|im_start|>", begin_token=START),
    MISTRAL,
    SPECIAL,
    LLAMA,
    BARE,
]


@pytest.fixture(scope="module")
def grammars(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlguidanceGrammars]:
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny_tokenizer(folder)
    opened = LlguidanceGrammars(TextTokenizer(folder / "tokenizer.json"), 640, {BEGIN, END})
    yield opened
    opened.close()


def _answer(grammars: LlguidanceGrammars, grammar: str, seed: int, begun: str = "") -> str:
    """An answer of random logits that begins so; it ends as soon as it may."""
    state = grammars.begin(Grammar(GrammarKind.LARK, grammar))
    tokenizer, random = grammars._tokenizer, np.random.default_rng(seed)
    first = tokenizer.encode(begun, add_special_tokens=False, parse_special=True)
    tokens: list[int] = []
    for number in range(300):
        if state.is_over:
            break
        allowed = state.allowed()
        if allowed[END] and number >= len(first):
            break
        token = (
            first[number] if number < len(first) else int((random.random(640) * allowed).argmax())
        )
        assert allowed[token], tokenizer.decode([*tokens, token], skip_special_tokens=False)
        tokens.append(token)
        state.accept(token)
    return tokenizer.decode(tokens, skip_special_tokens=False)


def _calls(form: ToolForm, text: str) -> list[tuple[str, object]]:
    reader = ToolCallReader(form)
    parts = [*reader.push(text), *reader.finish()]
    assert not any(isinstance(part, str) and part.strip() for part in parts)
    deltas = [part for part in parts if isinstance(part, CallDelta)]
    names = [delta.name for delta in deltas if delta.name]
    given = [
        "".join(d.arguments for d in deltas if d.index == index) for index in range(len(names))
    ]
    return list(zip(names, map(json.loads, given), strict=True))


@pytest.mark.parametrize("form", FORMS, ids=range(len(FORMS)))
@pytest.mark.parametrize("several", [False, True])
def test_a_forced_answer_is_calls_that_fit(
    grammars: LlguidanceGrammars, form: ToolForm, several: bool
) -> None:
    """Whatever the logits: a tool's name, and arguments of its schema."""
    for seed in range(6):
        calls = _calls(form, _answer(grammars, form.forced(TOOLS, several=several), seed))
        assert calls
        assert several or 1 == len(calls)
        for call in calls:
            assert call in [("add", {"x": True}), ("add", {"x": False}), ('a"b', {})]


@pytest.mark.parametrize("form", FORMS, ids=range(len(FORMS)))
def test_a_free_answer_is_held_from_the_mark_on(
    grammars: LlguidanceGrammars, form: ToolForm
) -> None:
    """After words, or at the start; before the mark anything goes."""
    free = form.free(TOOLS, several=False)
    assert "a < b {}" == _answer(grammars, free, 0, "a < b {}")
    words = "" if form in (LLAMA, BARE) else "The mill. "
    begun = words + (form.begin or '{"name": "a')
    for seed in range(4):
        text = _answer(grammars, free, seed, begun)
        (call,) = _calls(form, text.removeprefix(words))
        assert call in [("add", {"x": True}), ("add", {"x": False}), ('a"b', {})]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("<tool_call> {{ tools }}", ("<tool_call>", "</tool_call>", "arguments")),
        ("<tool_call><function=x>", None),
        ("[TOOL_CALLS] {{ tools }}", ("[TOOL_CALLS]", "", "arguments")),
        ("[TOOL_CALLS]f[ARGS]", None),
        ('{"name": x, "parameters": y}', ("", "", "parameters")),
        ('{"tool_name": x, "parameters": y}', None),
        ("{{ tools }}", None),
    ],
)
def test_a_form_is_known_by_its_template(
    grammars: LlguidanceGrammars, template: str, expected: tuple[str, str, str] | None
) -> None:
    """Models that write calls otherwise are told of a form in words."""
    form = tool_form(template, grammars._tokenizer)
    assert expected == (form and (form.begin, form.end, form.arguments))
