"""Responses, OpenAI's newer form of chats, by the official client: items, events, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.rpc.openai_fixtures import MODEL, Talking, talking
from tests.unit.inference.text_doubles import failing_after

RESPONSES = "/v1/responses"
TOOL: dict[str, Any] = {"type": "function", "name": "f", "parameters": {"type": "object"}}
CALLED = [
    {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "b"},
    {"role": "user", "content": "c"},
]


async def test_a_response(tmp_path: Path) -> None:
    """Its text, its usage, and that it was cut."""
    async with talking(tmp_path) as here:
        answer = await here.client.responses.create(
            model=MODEL, input="bc", instructions="a", max_output_tokens=4
        )
        assert (1, {}) == here.counted()
    assert ("abca", "incomplete") == (answer.output_text, answer.status)
    assert answer.incomplete_details
    assert "max_output_tokens" == answer.incomplete_details.reason
    assert answer.usage
    assert (3, 4, 7) == (
        answer.usage.input_tokens,
        answer.usage.output_tokens,
        answer.usage.total_tokens,
    )
    assert "a" == answer.instructions


async def test_the_events_of_a_response(tmp_path: Path) -> None:
    """They are named and numbered, and the official client puts them together."""
    async with talking(tmp_path) as here:
        streaming = here.client.responses.stream(model=MODEL, input="ab", max_output_tokens=2)
        async with streaming as stream:
            events = [event async for event in stream]
        raw = await here.client.responses.create(
            model=MODEL, input="ab", max_output_tokens=2, stream=True
        )
        numbered = [(event.sequence_number, event.type) async for event in raw]
    assert "ab" == "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.incomplete",
    ] == [kind for _, kind in numbered]
    assert list(range(10)) == [number for number, _ in numbered]


async def test_a_call_that_was_made(tmp_path: Path) -> None:
    """Items are the messages of a chat: here what they say, one after the other."""
    async with talking(tmp_path) as here:
        status, answer = await here.post(
            RESPONSES, {"model": MODEL, "input": CALLED, "max_output_tokens": 1}
        )
    assert (200, "a") == (status, answer["output"][0]["content"][0]["text"])


async def test_a_response_that_has_to_call(tmp_path: Path) -> None:
    """Its item is a call of the tool, whole and in events."""
    call = '<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>'
    body: dict[str, Any] = {"model": MODEL, "input": call, "max_output_tokens": len(call)}
    body |= {"tools": [TOOL], "tool_choice": {"type": "function", "name": "f"}}
    async with talking(tmp_path) as here:
        answer = await here.client.responses.create(**body)
        streaming = await here.client.responses.create(**body, stream=True)
        kinds = [event.type async for event in streaming]
    item = answer.output[0]
    assert item.type == "function_call"
    assert ("f", '{"x": 1}') == (item.name, item.arguments)
    assert item.call_id.startswith("call_")
    assert "response.function_call_arguments.delta" in kinds
    assert "response.function_call_arguments.done" in kinds


async def test_a_response_that_fails_in_the_midst(tmp_path: Path) -> None:
    """Its last event says so."""
    async with talking(tmp_path) as here:
        here.runner.engine.fails = failing_after(1)
        streaming = await here.client.responses.create(model=MODEL, input="ab", stream=True)
        last = [event async for event in streaming][-1]
    assert last.type == "response.failed"
    assert last.response.error
    assert "unlucky" == last.response.error.message


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"previous_response_id": "r"}, "previous_response_id", "OPTION_UNSUPPORTED"),
    ({"conversation": "c"}, "conversation", "OPTION_UNSUPPORTED"),
    ({"background": True}, "background", "OPTION_UNSUPPORTED"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type", "OPTION_UNSUPPORTED"),
    ({"include": ["message.output_text.logprobs"]}, "include", "OPTION_UNSUPPORTED"),
    ({"input": []}, "input", "PARAMETER_INVALID"),
    ({"input": None}, "input", "PARAMETER_INVALID"),
    ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type", "OPTION_UNSUPPORTED"),
    ({"input": [{"role": "owl", "content": "x"}]}, "input[0].role", "PARAMETER_INVALID"),
    ({"input": [{"role": "user"}]}, "input[0].content", "PARAMETER_INVALID"),
    ({"max_output_tokens": "x"}, "max_output_tokens", "PARAMETER_INVALID"),
    ({"text": {"format": {"type": "x"}}}, "text.format.type", "PARAMETER_INVALID"),
]


@pytest.mark.parametrize(("changes", "parameter", "reason"), REFUSED)
async def test_what_is_refused(
    tmp_path: Path, changes: dict[str, Any], parameter: str, reason: str
) -> None:
    """By the name that it has in a response."""
    async with talking(tmp_path) as here:
        error = await _refused(here, {"model": MODEL, "input": "a"} | changes)
    assert (parameter, reason) == (error["param"], error["reason"])


async def _refused(here: Talking, body: dict[str, Any]) -> dict[str, Any]:
    status, answer = await here.post(RESPONSES, body)
    assert 400 == status
    error: dict[str, Any] = answer["error"]
    return error
