"""A chat that is tried in the console: whole and as it comes, by a real model that generates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.language.tiny_models import TinyModel
from tests.rpc.console_scenes import API, console_scene
from tests.rpc.test_registry_language import packed, push_tar

REQUEST = {"prompt": "The river runs through", "max_tokens": 6, "temperature": 0}


@pytest.mark.toolchain
async def test_a_text_is_generated_whole_and_as_a_stream(
    redis_url: str, namespace: str, tmp_path: Path, tiny_llama: TinyModel
) -> None:
    """Both say the same; a replica's refusal comes with its status, also where a stream is asked for."""
    async with console_scene(redis_url, namespace, tmp_path, replica=True) as scene:
        await push_tar(scene.registry, packed(tiny_llama.folder))
        await scene.until("/models/chat", lambda found: found["versions"][0]["state"] == "READY")
        calls = await scene.get("/models/chat/calls")
        whole = await scene.post("/models/chat/chat", {"request": REQUEST, "version": 1})
        asked = {"request": REQUEST | {"stream": True}}
        async with scene.monitor.http.post(f"{API}/models/chat/chat", json=asked) as response:
            kind, text = response.content_type, (await response.read()).decode()
        odd = {"request": REQUEST | {"stream": True, "max_tokens": -1}}
        refused = await scene.post("/models/chat/chat", odd)
        not_one = await scene.post("/models/chat/chat", {"request": "Hello"})
    status, told = whole
    generated = told["response"]["choices"][0]["text"]
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    parts = [json.loads(line) for line in lines if line != "[DONE]"]
    assert (200, "1", "generation") == (status, told["version"], calls["kind"])
    assert ("text/event-stream", "[DONE]") == (kind, lines[-1])
    assert generated == "".join(choice["text"] for part in parts for choice in part["choices"])
    assert "curl" == calls["calls"][0]["title"]
    assert (400, True) == (refused[0], bool(refused[1]))
    assert (400, "CHANGE_INVALID") == (not_one[0], not_one[1]["reason"])
