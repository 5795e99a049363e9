"""The payload log of a language model: prompts and answers, where they may be logged, and masked."""

from __future__ import annotations

from pathlib import Path

from tests.language.tiny_models import TinyModel
from tests.rpc.test_generative_replica import PROMPT, completed, serving, until_ready
from tests.rpc.test_payload_log import logged, logging_to
from tests.rpc.test_registry_language import packed, push_tar


async def test_prompts_and_answers(
    redis_url: str, namespace: str, tmp_path: Path, tiny_llama: TinyModel
) -> None:
    """What was asked and what was generated; a prompt that is masked says so; /v1 is logged as /v2 is."""
    log = tmp_path / "log"
    more = logging_to(log, payload_fields=("prompt", "answer"), payload_masks=("id", "prompt=hash"))
    key = tmp_path / "key"
    key.write_bytes(b"0123456789abcdef")
    more["payload_key_file"] = key
    async with serving(redis_url, namespace, tmp_path, **more) as (registry, replica, session):
        await push_tar(registry, packed(tiny_llama.folder))
        await until_ready(replica, 1)
        answer = await completed(session, max_tokens=6, exclude_input_in_output=True)
        body = {"model": "chat", "prompt": PROMPT, "max_tokens": 6, "temperature": 0}
        async with session.post("/v1/completions", json=body | {"ignore_eos": True}) as response:
            assert 200 == response.status, await response.text()
    first, second = logged(log)
    assert [answer["text_output"]] == first.answers == second.answers
    assert (["prompt"], "chat", 1, "") == (first.masked, first.model, first.version, first.error)
    assert first.prompt is not None
    assert first.prompt.startswith("[value:")
    assert PROMPT not in first.prompt
    assert first.prompt == second.prompt
