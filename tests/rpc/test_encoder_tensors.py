"""Versions that embed and rerank over the Open Inference Protocol: texts in, vectors and scores out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from headrace.inference import grpc_service_pb2 as pb
from tests.language.tiny_encoders import SENTENCES, SHAPE
from tests.rpc.encoder_fixtures import EMBEDDER, RERANKER, Encoding, encoding


def _request(model: str, **inputs: list[str]) -> pb.ModelInferRequest:
    tensors = pb.ModelInferRequest.InferInputTensor
    return pb.ModelInferRequest(
        model_name=model,
        inputs=[
            tensors(
                name=name,
                datatype="BYTES",
                shape=[len(texts)],
                contents=pb.InferTensorContents(bytes_contents=[text.encode() for text in texts]),
            )
            for name, texts in inputs.items()
        ],
    )


async def _infer(replica: Encoding, model: str, **inputs: list[str]) -> Any:
    answer = await replica.replica.stub.ModelInfer(_request(model, **inputs))
    array = np.frombuffer(answer.raw_output_contents[0], np.float32)
    return array.reshape(answer.outputs[0].shape)


async def test_texts_in_tensors_have_the_vectors_of_the_other_wire(tmp_path: Path) -> None:
    """Over gRPC and REST, bit for bit; each request counts once."""
    async with encoding(tmp_path) as replica:
        vectors = await _infer(replica, EMBEDDER, text=list(SENTENCES))
        body = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1]}]}
        body["inputs"][0]["data"] = [SENTENCES[0]]
        status, rest = await replica.post(f"/v2/models/{EMBEDDER}/infer", body)
        openai = await replica.client.embeddings.create(model=EMBEDDER, input=list(SENTENCES))
        assert replica.counted(EMBEDDER) == (3, {})
    assert (status, vectors.shape) == (200, (len(SENTENCES), SHAPE.hidden))
    assert [row.tolist() for row in vectors] == [one.embedding for one in openai.data]
    assert np.array_equal(np.array(rest["outputs"][0]["data"], np.float32), vectors[0])


async def test_a_query_and_documents_in_tensors_have_scores(tmp_path: Path) -> None:
    """In the order of the documents."""
    async with encoding(tmp_path) as replica:
        scores = await _infer(replica, RERANKER, query=["the cat"], documents=list(SENTENCES))
        asked = {"model": RERANKER, "query": "the cat", "documents": list(SENTENCES)}
        _, ranked = await replica.post("/v1/rerank", asked)
    assert scores.shape == (len(SENTENCES),)
    for one in ranked["results"]:
        assert np.float32(one["relevance_score"]) == scores[one["index"]]


@pytest.mark.parametrize(
    ("texts", "words"),
    [([], "no text"), (["a", ""], "empty"), ([" ".join(SENTENCES * 3)], "takes 48")],
)
async def test_what_cannot_be_embedded_is_refused(
    tmp_path: Path, texts: list[str], words: str
) -> None:
    """As over the other wire, and counted."""
    async with encoding(tmp_path) as replica:
        with pytest.raises(grpc.aio.AioRpcError, match=words) as refused:
            await _infer(replica, EMBEDDER, text=texts)
        successes, wrong = replica.counted(EMBEDDER)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (successes, sum(wrong.values())) == (0, 1)
