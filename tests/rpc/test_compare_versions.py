"""`headrace compare` of two real models: its figures are those of plain arithmetic over their logits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.language.tiny_models import TinyModel, write_tiny_model
from tests.rpc.test_cli_commands import Shell
from tests.rpc.test_generative_replica import serving, until_ready
from tests.rpc.test_registry_language import packed, push_tar

PROMPTS = ("The river runs through", "Count twice and", "An object is")
MAX_TOKENS = 6


def log_shares(
    model: TinyModel, prompt: Sequence[int], answer: Sequence[int]
) -> npt.NDArray[np.float64]:
    """The whole distribution at each of an answer's tokens."""
    logits = model.logits([*prompt, *answer]).astype(np.float64)[len(prompt) - 1 : -1]
    shares: npt.NDArray[np.float64] = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return shares


async def test_figures_are_those_of_plain_arithmetic(
    redis_url: str, namespace: str, tmp_path: Path, tiny_llama: TinyModel
) -> None:
    """Scores of the whole vocabulary give the exact divergence; other tokenizers are refused by name."""
    other = write_tiny_model(tmp_path / "other", tiny_llama.shape, seed=1)
    tokenizer = json.loads((other.folder / "tokenizer.json").read_text())
    retokenized = packed(
        other.folder, **{"tokenizer.json": json.dumps(tokenizer, indent=9).encode()}
    )
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("\n".join(json.dumps({"prompt": text}) for text in PROMPTS))
    async with serving(redis_url, namespace, tmp_path) as (registry, replica, _):
        await push_tar(registry, packed(tiny_llama.folder))
        await push_tar(registry, packed(other.folder))
        await until_ready(replica, 1, 2)
        shell = Shell(
            ("--registry", registry.address, "--inference", replica.fronts.grpc_address, "--json")
        )
        options = ("--prompts", str(prompts), "--max-tokens", str(MAX_TOKENS))
        found = await shell("compare", "chat", "1", "2", *options, "--max-perplexity-ratio", "1.5")
        await push_tar(registry, retokenized)
        refused = await shell("compare", "chat", "1", "3", *options)

    encoded = [tiny_llama.encode(text) for text in PROMPTS]
    answers = [tiny_llama.greedy(prompt, MAX_TOKENS) for prompt in encoded]
    mine, yours = (
        np.concatenate([log_shares(model, *pair) for pair in zip(encoded, answers, strict=True)])
        for model in (tiny_llama, other)
    )
    tokens = np.concatenate(answers)[:, None]
    divergences = (np.exp(mine) * (mine - yours)).sum(-1)
    first, second = (np.take_along_axis(each, tokens, -1).mean() for each in (mine, yours))
    told = found.document
    assert (3, 18, True) == (told["prompts"], told["tokens"], told["kl_is_exact"])
    assert (first, second) == pytest.approx(
        (told["first_logprob"], told["second_logprob"]), abs=1e-3
    )
    assert (divergences.mean(), divergences.max()) == pytest.approx(
        (told["kl_mean"], told["kl_max"]), abs=2e-3
    )
    assert np.exp(first - second) == pytest.approx(told["perplexity_ratio"], rel=2e-3)
    assert (yours.argmax(-1) == tokens[:, 0]).mean() == pytest.approx(told["agreement"])
    assert 1 == found.status  # the ratio is over what was allowed
    assert "TOKENIZERS_DIFFER" == json.loads(refused.error)["error"]["reason"]
