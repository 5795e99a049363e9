"""Clients of OpenAI's API, unmodified: the official ones, LangChain, LlamaIndex and instructor."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace import AsyncClient
from tests.e2e.served import Addresses, serving
from tests.language.tiny_encoders import SHAPE, write_embedder, write_reranker
from tests.language.tiny_models import TinyModel

SCRIPTS = Path(__file__).parent / "openai_clients"
INSTALLED = Path(sys.prefix) / "clients"
"""Where scripts/install_clients.sh installs."""
RUN_SECONDS = 120
MODEL, EMBEDDER, RERANKER = "tiny", "embedder", "reranker"

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain, pytest.mark.timeout(2 * RUN_SECONDS)]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, tiny_llama: TinyModel) -> Iterator[Addresses]:
    """A suite that serves a model that generates, one that embeds, and one that reranks."""
    folder: Path = tmp_path_factory.mktemp("suite")
    embedder = write_embedder(folder / "embedder")
    with serving(folder / "data", {}) as addresses:
        reranker = write_reranker(folder / "reranker")
        models = {MODEL: tiny_llama.folder, EMBEDDER: embedder, RERANKER: reranker}
        asyncio.run(_push(addresses, models))
        yield addresses


async def _push(addresses: Addresses, models: dict[str, Path]) -> None:
    async with AsyncClient(registry=addresses.registry, inference=addresses.grpc) as client:
        for name, folder in models.items():
            version = await client.push(name, folder, timeout_seconds=60)
            await client.wait_until_ready(name, version.number, timeout_seconds=60)


def told(suite: Addresses, program: str | Path, script: str, *models: str) -> dict[str, Any]:
    """What a client's script says of its scenarios; skips where the client is not installed."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed; `make e2e` installs it")
    run = subprocess.run(
        [program, SCRIPTS / script, suite.url, *(models or (MODEL, EMBEDDER))],
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
        env=os.environ | {"OPENAI_NODE": str(INSTALLED / "openai_node")},
    )
    assert 0 == run.returncode, run.stderr[-4000:]
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def test_the_official_client_in_python(suite: Addresses) -> None:
    """Chats whole and streamed, calls, schemas, responses, errors, vectors in base64."""
    found = told(suite, sys.executable, "openai_python.py")
    text, finish = found["plain"]
    assert ("length", [text, 5]) == (finish, found["stream"])
    assert {
        "tools": ["look", ["n"]],
        "streamed_tools": ["look", ["n"]],
        "schema": ["n"],
        "responses": ["completed", ["n"]],
        "errors": [
            ["NotFoundError", "model_not_found", None, True],
            ["BadRequestError", "invalid_value", "temperature", True],
            ["BadRequestError", "invalid_value", "messages", True],
        ],
        "embeddings": True,
        "models": sorted((MODEL, EMBEDDER, RERANKER)),
    } == {name: value for name, value in found.items() if name not in ("plain", "stream")}


def test_the_official_client_in_node(suite: Addresses) -> None:
    """The same; it asks for base64 and reads nothing else."""
    if not (INSTALLED / "openai_node" / "node_modules" / "openai").exists():
        pytest.skip("openai for Node is not installed; `make e2e` installs it")
    found = told(suite, "node", "openai_node.mjs")
    text, finish = found["plain"]
    assert ("length", [text, 5]) == (finish, found["stream"])
    assert {
        "tools": [["look", ["n"]]] * 2,
        "schema": ["n"],
        "responses": ["incomplete", 5],
        "errors": [
            ["NotFoundError", "model_not_found", None],
            ["BadRequestError", "invalid_value", "temperature"],
        ],
        "embeddings": [SHAPE.hidden] * 2,
    } == {name: value for name, value in found.items() if name not in ("plain", "stream")}


def test_langchain(suite: Addresses) -> None:
    """It adds chunks up, so usage comes once; it sends nulls, and the newer name of max_tokens."""
    found = told(suite, INSTALLED / "langchain" / "bin" / "python", "langchain_client.py")
    assert (5, found["plain"]) == (found["plain"][1], found["stream"])
    assert {
        "tools": [["Look"], ["Look"]],
        "schema": True,
        "completion": True,
        "errors": "invalid_value",
        "embeddings": 2,
    } == {name: value for name, value in found.items() if name not in ("plain", "stream")}


def test_llama_index_and_instructor(suite: Addresses) -> None:
    """They come with the official client before its third version."""
    found = told(suite, INSTALLED / "llama_index" / "bin" / "python", "llama_index_client.py")
    assert found["plain"] == found["stream"]
    assert {
        "tools": ["look"],
        "schema": ["Look", "Look"],
        "errors": "model_not_found",
        "embeddings": 2,
    } == {name: value for name, value in found.items() if name not in ("plain", "stream")}


def test_cohere(suite: Addresses) -> None:
    """Both versions of its API read the same answer."""
    program = INSTALLED / "cohere" / "bin" / "python"
    found = told(suite, program, "cohere_client.py", RERANKER)
    assert [[*one, True] for one in found["newer"]] == found["older"]
    assert found["newer"][0][1] >= found["newer"][1][1]
    assert 404 == found["error"]
