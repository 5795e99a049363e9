"""Calls of tools: what answers are held to, and how they are read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.language.chats.tool_forms import PLAIN_FORM, ToolForm
from headrace.language.chats.tool_reader import CallDelta, Part, ToolCallReader

MISTRAL = ToolForm("[TOOL_CALLS]", is_list=True, id_letters=9)
LLAMA = ToolForm("<|python_tag|>", arguments="parameters", is_begun=False)
BARE = ToolForm(arguments="parameters", is_begun=False)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
_calls = st.lists(
    st.tuples(
        st.sampled_from(["f", "get_weather", "a.b-c"]),
        st.dictionaries(st.text(max_size=5), _values, max_size=3),
    ),
    max_size=3,
)


def _hermes(words: str, calls: Sequence[tuple[str, Any]]) -> str:
    written = (json.dumps({"name": name, "arguments": given}) for name, given in calls)
    return words + "\n".join(f"<tool_call>\n{call}\n</tool_call>" for call in written)


def _mistral(words: str, calls: Sequence[tuple[str, Any]]) -> str:
    written = [{"name": name, "arguments": given} for name, given in calls]
    return words + (f"[TOOL_CALLS] {json.dumps(written)}" if written else "")


def _llama(words: str, calls: Sequence[tuple[str, Any]]) -> str:
    written = "; ".join(json.dumps({"name": name, "parameters": given}) for name, given in calls)
    return f"<|python_tag|>{written}" if written else words


def _read(form: ToolForm, pieces: Sequence[str]) -> tuple[str, list[tuple[str, Any]]]:
    reader = ToolCallReader(form)
    parts: list[Part] = []
    for piece in pieces:
        parts += reader.push(piece)
    parts += reader.finish()
    words = "".join(part for part in parts if isinstance(part, str))
    deltas = [part for part in parts if isinstance(part, CallDelta)]
    indices = sorted({delta.index for delta in deltas})
    assert list(range(len(indices))) == indices
    assert bool(indices) == reader.has_calls
    return words, [_whole([each for each in deltas if each.index == index]) for index in indices]


def _whole(deltas: Sequence[CallDelta]) -> tuple[str, Any]:
    first, *others = deltas
    assert (True, False) == (
        bool(first.id and first.name),
        any(each.id or each.name for each in others),
    )
    return first.name, json.loads("".join(each.arguments for each in deltas))


def _cut(text: str, places: Sequence[int]) -> list[str]:
    ends = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(ends)]


@pytest.mark.parametrize(
    ("form", "write"),
    [(PLAIN_FORM, _hermes), (MISTRAL, _mistral), (LLAMA, _llama), (BARE, _llama)],
    ids=["hermes", "mistral", "llama", "bare"],
)
@settings(max_examples=60, deadline=None)
@given(
    words=st.sampled_from(["", "So: ", "a < b <tool", "[TOOL", "{x} is"]),
    calls=_calls,
    places=st.lists(st.integers(0, 10**6), max_size=20),
)
def test_calls_are_read_wherever_the_text_is_cut(
    form: ToolForm, write: Any, words: str, calls: list[tuple[str, Any]], places: list[int]
) -> None:
    """Names come once and whole, arguments as they were written, words without the marks."""
    text = write(words, calls)
    if form is BARE:
        text = text.removeprefix("<|python_tag|>")
    is_whole = form in (LLAMA, BARE)
    assert ("" if is_whole and calls else words, calls) == _read(form, _cut(text, places))


def test_arguments_come_as_they_are_written() -> None:
    """A client sees them before the call is over; nothing of the marks comes as words."""
    reader = ToolCallReader(PLAIN_FORM)
    assert ["Let me see."] == reader.push("Let me see.<tool_")
    assert [] == reader.push('call>\n{"name": "f", "argum')
    first, begun = reader.push('ents": {"x": "a')
    assert isinstance(first, CallDelta)
    assert ("f", 0, 29) == (first.name, first.index, len(first.id))
    assert CallDelta(0, '{"x": "a') == begun
    assert [CallDelta(0, '}"}')] == reader.push('}"}}\n</tool')
    assert [] == reader.push("_call>\n")
    assert [] == reader.finish()


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        (PLAIN_FORM, "<tool_call>\nnot JSON\n</tool_call> so", ("\nnot JSON\n so", [])),
        (PLAIN_FORM, '<tool_call>{"arguments": [], "name": "f"}</tool_call>', ("", [("f", [])])),
        (PLAIN_FORM, '<tool_call>{"name": "f"}</tool_call>', ("", [("f", {})])),
        (PLAIN_FORM, '<tool_call>{"name": "f", "arguments": "{}"}</tool_call>', ("", [("f", {})])),
        (PLAIN_FORM, "a <tool_call", ("a <tool_call", [])),
        (PLAIN_FORM, "a\n\n", ("a\n\n", [])),
        (PLAIN_FORM, _hermes("", [("f", {})]) + "\n and words", ("\n and words", [("f", {})])),
        (PLAIN_FORM, '<tool_call>{"name": 1}</tool_call>', ('{"name": 1}', [])),
        (MISTRAL, '[TOOL_CALLS] {"name": "f", "arguments": {}}', ("", [("f", {})])),
        (LLAMA, '{"a": 1}', ('{"a": 1}', [])),
        (LLAMA, "<|python_tag|>print(1)", ("<|python_tag|>print(1)", [])),
        (LLAMA, '  {"name": "f", "parameters": {"x": [1, "}"]}}', ("", [("f", {"x": [1, "}"]})])),
        (LLAMA, "{ no", ("{ no", [])),
        (LLAMA, "", ("", [])),
    ],
)  # fmt: skip
def test_what_is_nearly_a_call_is_read_or_shown(
    form: ToolForm, text: str, expected: tuple[str, list[tuple[str, Any]]]
) -> None:
    """A call in another order is one; what is none comes as words, however it is cut."""
    assert expected == _read(form, [text])
    assert expected == _read(form, list(text))


def test_an_answer_that_was_cut_shows_what_there_is() -> None:
    """The arguments up to where the tokens ended."""
    reader = ToolCallReader(PLAIN_FORM)
    parts = reader.push('<tool_call>\n{"name": "f", "arguments": {"x": [1, 2')
    assert '{"x": [1, 2' == "".join(part.arguments for part in parts if isinstance(part, CallDelta))
    assert [] == reader.finish()


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_call_that_was_cut_before_its_arguments_is_no_text(cut: int) -> None:
    """Neither a call without them, nor words with half of one."""
    begun = '\n{"name": "f", "arguments": '
    whole = _hermes("So:", [("f", {})])
    assert ("So:", [("f", {})]) == _read(PLAIN_FORM, [f"{whole}\n<tool_call>{begun[:cut]}"])


def test_ids_are_as_models_were_taught_them() -> None:
    """Mistral's templates take nine letters and digits, and nothing else."""
    (first, *_) = ToolCallReader(MISTRAL).push('[TOOL_CALLS] [{"name": "f", "arguments": {}}]')
    assert isinstance(first, CallDelta)
    assert (9, True) == (len(first.id), first.id.isalnum())
