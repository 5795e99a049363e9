"""Tools that a model may call, as OpenAI's clients see its calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.rpc.openai_fixtures import CHAT, MODEL, talking

CALLS = (
    'So:<tool_call>\n{"name": "add", "arguments": {"x": 1}}\n</tool_call>\n'
    '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
)
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("add", "now")
]


def asked(text: str) -> dict[str, Any]:
    """A chat whose answer is its question."""
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "messages": messages, "tools": TOOLS, "max_tokens": len(text)}


async def test_calls_in_a_whole_answer(tmp_path: Path) -> None:
    """Each with its id, its name and its arguments; the words before them are the content."""
    async with talking(tmp_path) as here:
        answer = await here.client.chat.completions.create(**asked(CALLS))
    message = answer.choices[0].message
    assert "So:" == message.content
    assert message.tool_calls
    functions = [call.function for call in message.tool_calls if call.type == "function"]
    assert [("add", '{"x": 1}'), ("now", "{}")] == [(one.name, one.arguments) for one in functions]
    assert 2 == len({call.id for call in message.tool_calls})


async def test_calls_in_a_stream(tmp_path: Path) -> None:
    """A name comes once, then its arguments piece by piece."""
    async with talking(tmp_path) as here:
        events = await here.events(CHAT, asked(CALLS))
    deltas = [chunk["choices"][0]["delta"] for chunk in events[:-1] if chunk["choices"]]
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert ["add", "now"] == [
        call["function"]["name"] for call in calls if "name" in call["function"]
    ]
    joined = [
        "".join(c["function"]["arguments"] for c in calls if c["index"] == index)
        for index in (0, 1)
    ]
    assert [{"x": 1}, {}] == list(map(json.loads, joined))


async def test_an_answer_without_calls(tmp_path: Path) -> None:
    """Words that nearly call are words."""
    async with talking(tmp_path) as here:
        answer = await here.client.chat.completions.create(**asked("1 < 2 <tool"))
    message = answer.choices[0].message
    assert ("1 < 2 <tool", None) == (message.content, message.tool_calls)
