"""What a replica tells of text is what its callers were told: tokens, reuse, ends, and by which route."""

from __future__ import annotations

import re
from pathlib import Path

import aiohttp

from headrace.client import AsyncClient
from tests.language.tiny_models import TinyModel
from tests.rpc.test_generative_replica import PROMPT, serving, until_ready
from tests.rpc.test_registry_language import packed, push_tar


async def test_metrics_are_what_callers_were_told(
    redis_url: str, namespace: str, tmp_path: Path, tiny_llama: TinyModel
) -> None:
    """By our names with the route, by vLLM's without; the second prompt goes on where the first one was."""
    async with serving(redis_url, namespace, tmp_path) as (registry, replica, _):
        await push_tar(registry, packed(tiny_llama.folder))
        await until_ready(replica, 1)
        async with AsyncClient(inference=replica.fronts.grpc_address, timeout_seconds=20) as client:
            first = await client.generate("chat", PROMPT * 8, max_tokens=8, ignore_eos=True)
            second = await client.generate("chat", PROMPT * 9, version=1, max_tokens=5, n=2)
        address = f"http://{replica.fronts.metrics_address}/metrics"
        async with aiohttp.ClientSession() as session, session.get(address) as page:
            lines = (await page.text()).splitlines()

    series = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    found = {name: float(value) for name, value in series}

    def told(name: str, route: str, more: str = "") -> float:
        labels = f'model="chat",version="1",route="{route}"{more}'
        return found[f"headrace_inference_{name}{{{labels}}}"]

    def of_vllm(name: str) -> float:
        return found[f'vllm:{name}{{model_name="chat",engine="0",version="1"}}']

    for route, answer in (("stable", first), ("pinned", second)):
        usage = answer.usage
        assert usage.prompt_tokens == told("prompt_tokens_total", route)
        assert usage.completion_tokens == told("generated_tokens_total", route)
        assert usage.cached_tokens == told("reused_prompt_tokens_total", route)
        assert 1 == told("first_token_seconds_count", route)
        gaps = usage.completion_tokens - len(answer.choices)
        assert gaps == told("between_tokens_seconds_count", route)
    assert (0, True) == (first.usage.cached_tokens, second.usage.cached_tokens > 0)
    ends = [choice.finish_reason for answer in (first, second) for choice in answer.choices]
    counted = {
        re.search(r'finished_reason="(\w+)"', name)[1]: value  # type: ignore[index]  # it is there
        for name, value in found.items()
        if name.startswith("vllm:request_success_total") and value
    }
    assert {reason: ends.count(reason) for reason in ends if reason} == counted
    every = (first.usage, second.usage)
    assert sum(usage.prompt_tokens for usage in every) == of_vllm("prompt_tokens_total")
    assert sum(usage.cached_tokens for usage in every) == of_vllm("prefix_cache_hits_total")
    assert 2 == of_vllm("e2e_request_latency_seconds_count")
    assert 0 == of_vllm("num_requests_running")
