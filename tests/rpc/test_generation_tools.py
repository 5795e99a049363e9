"""Chats with tools over gRPC, by a real model: calls are apart from words, and held to their schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace import errors
from headrace.client import AsyncClient, ToolCall
from tests.language.tiny_models import TinyModel
from tests.rpc.test_generative_replica import serving, until_ready
from tests.rpc.test_registry_language import packed, push_tar

CITIES = ["Paris", "Rome"]
WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "Tell the weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": CITIES}},
        "required": ["city"],
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}


async def test_calls_are_held_to_their_schemas_and_told_apart(
    redis_url: str, namespace: str, tmp_path: Path, tiny_llama: TinyModel
) -> None:
    """A call that must be made is made, in pieces as in one; its answer goes on in the next turn."""
    asked: dict[str, Any] = {"max_tokens": 100, "temperature": 0.0}
    async with serving(redis_url, namespace, tmp_path) as (registry, replica, _):
        await push_tar(registry, packed(tiny_llama.folder))
        await until_ready(replica, 1)
        async with AsyncClient(inference=replica.fronts.grpc_address, timeout_seconds=20) as client:
            tools = [WEATHER, CLOCK]
            whole = await client.chat("chat", "Hi", tools=tools, tool_choice="weather", **asked)
            pieces = client.chat_stream("chat", "Hi", tools=tools, tool_choice="weather", **asked)
            parts = [part async for part in pieces]
            turns: list[dict[str, Any]] = [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": None, "tool_calls": list(whole.tool_calls)},
                {"role": "tool", "content": "sunny", "tool_call_id": whole.tool_calls[0].id},
            ]
            ended = await client.chat(
                "chat", turns, tools=tools, tool_choice="none", max_tokens=2, temperature=0.0
            )
            refused = {}
            for name, more in REFUSED.items():
                with pytest.raises(errors.InvalidArgument) as caught:
                    await client.chat("chat", "Hi", **more)
                refused[name] = caught.value.reason

    assert "tool_calls" == whole.finish_reason
    assert "weather" == whole.tool_calls[0].name
    assert all(json.loads(call.arguments)["city"] in CITIES for call in whole.tool_calls)
    assert all(call.id.startswith("call_") for call in whole.tool_calls)
    assert [_said(whole.tool_calls)] == [
        _said(part.tool_calls) for part in parts if part.tool_calls
    ]
    assert whole.text == "".join(part.text for part in parts)
    assert (2, ()) == (ended.usage.completion_tokens, ended.tool_calls)
    assert dict.fromkeys(REFUSED, "PARAMETER_INVALID") == refused


def _said(calls: tuple[ToolCall, ...]) -> list[tuple[str, str]]:
    """What calls say, without their ids, which are new each time."""
    return [(call.name, call.arguments) for call in calls]


REFUSED: dict[str, dict[str, Any]] = {
    "a tool that is not there": {"tools": [WEATHER], "tool_choice": "clock"},
    "a call without tools": {"tool_choice": "required"},
    "a grammar beside tools": {"tools": [WEATHER], "regex": "a"},
    "a name that is none": {"tools": [{"name": "no blanks"}]},
    "parameters that are no object": {"tools": [{"name": "a", "parameters": "[]"}]},
}
