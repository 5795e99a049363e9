"""Language models in a folder that a replica serves without a registry."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import aiohttp

from tests.language.tiny_encoders import write_embedder
from tests.language.tiny_models import TinyModel
from tests.language.tiny_tokenizer import tiny_tokenizer
from tests.rpc.test_serve_folder import serving

PROMPT = "The river runs through"


async def test_language_models_are_served_as_they_lie_there(
    tmp_path: Path, tiny_llama: TinyModel
) -> None:
    """As exporters write them: one to generate beside its README, one to embed with its graph below."""
    folder = tmp_path / "models"
    shutil.copytree(tiny_llama.folder, folder / "chat")
    (folder / "chat" / "README.md").write_text("# A model")
    write_embedder(folder / "vectors")
    (folder / "vectors" / "onnx").mkdir()
    (folder / "vectors" / "model.onnx").rename(folder / "vectors" / "onnx" / "model.onnx")
    wanted = tiny_tokenizer().decode(tiny_llama.greedy(tiny_llama.encode(PROMPT), 4))
    asked = {"prompt": PROMPT, "max_tokens": 4, "temperature": 0, "ignore_eos": True}
    async with (
        serving(folder, tmp_path / "data") as replica,
        aiohttp.ClientSession(f"http://{replica.fronts.http_address}") as session,
    ):
        completion = await _posted(session, "completions", {"model": "chat", **asked})
        chat = {"model": "chat", "messages": [{"role": "user", "content": "Who?"}], "max_tokens": 1}
        await _posted(session, "chat/completions", chat)
        texts = {"model": "vectors", "input": ["one", "two"]}
        vectors = await _posted(session, "embeddings", texts)
        versions = replica.reconciler.table.catalog.versions
    assert wanted == completion["choices"][0]["text"]
    assert 2 == len(vectors["data"])
    files = {file.path for file in versions["chat", 1].files}
    assert "tokenizer.json" in files
    assert "README.md" not in files
    assert "onnx/model.onnx" == versions["vectors", 1].graph_path


async def _posted(session: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> Any:
    async with session.post(f"/v1/{path}", json=body) as answer:
        found = await answer.json()
        assert 200 == answer.status, found
    return found
