"""A version that generates text is evaluated: matches, and how probable the reference texts are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from headrace.client import AsyncClient
from headrace.errors import InvalidArgument
from headrace.lifecycle.evaluation import Task, evaluate
from tests.language.tiny_models import TinyModel
from tests.language.tiny_tokenizer import tiny_tokenizer
from tests.rpc.test_compare_versions import log_shares
from tests.rpc.test_generative_replica import serving, until_ready
from tests.rpc.test_registry_language import packed, push_tar

PROMPTS = ("The river runs through", "An object is")


async def test_perplexity_is_that_of_plain_arithmetic(
    redis_url: str, namespace: str, tmp_path: Path, tiny_llama: TinyModel
) -> None:
    """One reference is what the version says, the other is not; a row without one is left out."""
    said = tiny_tokenizer().decode(tiny_llama.greedy(tiny_llama.encode(PROMPTS[0]), 6))
    references = (said, "two")
    rows = [
        {"prompt": prompt, "wanted": text} for prompt, text in zip(PROMPTS, references, strict=True)
    ]
    data = tmp_path / "texts.jsonl"
    data.write_text("\n".join(map(json.dumps, [*rows, {"prompt": "What", "wanted": None}])))
    async with (
        serving(redis_url, namespace, tmp_path) as (registry, replica, _),
        AsyncClient(registry=registry.address, inference=replica.fronts.grpc_address) as client,
    ):
        await push_tar(registry, packed(tiny_llama.folder))
        await until_ready(replica, 1)
        found = await evaluate(client, "chat/1", data, target="wanted", resamples=50)
        with pytest.raises(InvalidArgument) as caught:
            await evaluate(client, "chat/1", data, target="missing")
        scored = await client.score("chat", PROMPTS[0], [said], version=1)
    values = {each.name: each.value for each in found.metrics}
    assert (Task.GENERATION, 2, 1) == (found.task, found.rows, found.checks.missing_targets)
    assert (0.5, 0.5) == (values["prefix_match"], values["contains_match"])
    tokens = [[each.token_id for each in scored.results[0]], tiny_llama.encode(references[1])]
    logprobs = np.concatenate(
        [
            log_shares(tiny_llama, tiny_llama.encode(prompt), of)[np.arange(len(of)), of]
            for prompt, of in zip(PROMPTS, tokens, strict=True)
        ]
    )
    assert logprobs.mean() == pytest.approx(values["logprob"], abs=2e-3)
    assert np.exp(-logprobs.mean()) == pytest.approx(values["perplexity"], rel=2e-3)
    assert said == found.examples[0]["reference"]
    assert "there is no column 'missing'" in caught.value.message
