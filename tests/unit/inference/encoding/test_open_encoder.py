"""Encoders opened from files: their vectors, alone and in company, and what they refuse."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from headrace.errors import Cancelled, DeadlineExceeded, InvalidArgument, ResourceExhausted
from headrace.language.encoder_files import read_encoder_files
from headrace.language.encoder_graph import encoder_graph
from headrace.language.graph_ends import ends_of_session
from headrace.state.language_records import EncodingConfig, Pooling
from headrace.state.records import QueuePolicy, ServingConfig
from headrace_inference.adapters.encoding.graph_session import GraphSession
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.encoding.requests import EncodingCall, EncodingRequest
from headrace_inference.domain.encoding.token_batcher import Encoding, TokenBatcher
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from tests.language.tiny_encoders import SHAPE, write_embedder
from tests.unit.inference.encoding.encoders import Outcome, bare_outputs, opened, submit


def _texts(count: int, seed: int = 0) -> list[list[int]]:
    made = random.Random(seed)
    return [
        [made.randrange(SHAPE.vocabulary) for _ in range(made.randint(1, 48))] for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("pooling", "of_tokens"),
    [
        ("mean", lambda tokens: tokens.mean(axis=0)),
        ("cls", lambda tokens: tokens[0]),
        ("max", lambda tokens: tokens.max(axis=0)),
        ("last", lambda tokens: tokens[-1]),
    ],
)
def test_vectors_are_those_of_the_graph_pooled(
    tmp_path: Path, pooling: str, of_tokens: Any
) -> None:
    """Mean, first, greatest and last of a text's own tokens; made as long as 1 where the files say so."""
    folder = write_embedder(tmp_path, pooling=pooling, normalizes=pooling != "last")
    texts = _texts(40)
    expected = np.stack(
        [of_tokens(one) for one in bare_outputs(folder, texts, "last_hidden_state")]
    )
    if pooling != "last":
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    with opened(folder) as encoder:
        vectors = submit(encoder, texts)[1].wait()
    assert np.allclose(vectors, expected, atol=1e-6)


@pytest.mark.parametrize("instances", [0, 3])
def test_a_vector_is_bit_for_bit_the_same_in_any_company(tmp_path: Path, instances: int) -> None:
    """Alone, in one large call, and among 200 calls of 8 threads a text has the very same vector."""
    texts = _texts(200)
    config = ServingConfig(instances=instances)
    with opened(write_embedder(tmp_path), config) as encoder:
        alone = np.concatenate([submit(encoder, [text])[1].wait() for text in texts])
        together = submit(encoder, texts)[1].wait()
        with ThreadPoolExecutor(8) as threads:
            crowd = list(threads.map(lambda text: submit(encoder, [text])[1].wait()[0], texts))
        assert encoder.remark == ""
    assert np.array_equal(alone, together)
    assert np.array_equal(alone, np.stack(crowd))


def _quantized(folder: Path) -> Path:
    """Have the scales of all weights' inputs taken from the whole batch, as int8 exporters do."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = folder / "model.onnx"
    plain = graph.rename(folder / "plain.onnx")
    quantize_dynamic(plain, graph, weight_type=QuantType.QInt8)
    plain.unlink()
    return folder


def test_a_graph_that_mixes_its_rows_runs_one_text_at_a_time(tmp_path: Path) -> None:
    """Dynamically quantised graphs take one scale for all rows, and padding would change it, too."""
    texts = _texts(20)
    folder = _quantized(write_embedder(tmp_path))
    expected = np.stack(
        [one.mean(axis=0) for one in bare_outputs(folder, texts, "last_hidden_state")]
    )
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    with opened(folder) as encoder:
        alone = np.concatenate([submit(encoder, [text])[1].wait() for text in texts])
        together = submit(encoder, texts)[1].wait()
        assert "one at a time" in encoder.remark
    assert np.array_equal(alone, together)
    assert np.allclose(alone, expected, atol=1e-6)


def test_a_graph_that_sees_padding_runs_texts_as_they_are(tmp_path: Path) -> None:
    """Without an attention mask padding would be taken for words."""
    folder = write_embedder(tmp_path)
    graph = onnx.load(folder / "model.onnx")
    mask = next(one for one in graph.graph.input if one.name == "attention_mask")
    graph.graph.input.remove(mask)
    ones = helper.make_node("ConstantOfShape", ["size"], ["attention_mask"], value=_ONE)
    shape = helper.make_node("Shape", ["input_ids"], ["size"])
    graph.graph.node.insert(0, ones)
    graph.graph.node.insert(0, shape)
    onnx.save(graph, folder / "model.onnx")
    texts = _texts(20)
    with opened(folder) as encoder:
        vectors = submit(encoder, texts)[1].wait()
    expected = write_embedder(tmp_path / "masked")
    with opened(expected) as encoder:
        assert np.allclose(vectors, submit(encoder, texts)[1].wait(), atol=1e-6)


@pytest.mark.parametrize(("rows", "length"), [(1, 0), (0, 24), (1, 24)])
def test_graphs_of_fixed_sizes_are_served_as_they_are(
    tmp_path: Path, rows: int, length: int
) -> None:
    """One row: one text at a time; one length: all texts are padded to it, and longer ones refused."""
    folder = write_embedder(tmp_path / "free")
    texts = [text[:24] for text in _texts(20)]
    with opened(folder) as encoder:
        expected = submit(encoder, texts)[1].wait()
    graph = onnx.load(folder / "model.onnx")
    for value in graph.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, (rows, length), strict=True):
            if size:
                dim.dim_value = size
    onnx.save(graph, folder / "model.onnx")
    with opened(folder) as encoder:
        assert np.allclose(submit(encoder, texts)[1].wait(), expected, atol=1e-6)
        assert ("one row" in encoder.remark) == bool(rows)
        if length:
            with pytest.raises(InvalidArgument, match="takes 24"):
                submit(encoder, [[1] * 25])


def test_a_graph_that_asks_for_positions_gets_them(tmp_path: Path) -> None:
    """From 0, or behind the positions that belong to padding, as RoBERTa counts."""
    texts = _texts(20)
    folder = write_embedder(tmp_path / "plain")
    with opened(folder) as encoder:
        expected = submit(encoder, texts)[1].wait()
    for name, pad_token, first in (("bert", 0, 0), ("roberta", 1, 2)):
        folder = write_embedder(tmp_path / name, model_type=name, pad_token_id=pad_token)
        graph = onnx.load(folder / "model.onnx")
        _ask_for_positions(graph, first)
        onnx.save(graph, folder / "model.onnx")
        with opened(folder) as encoder:
            assert np.allclose(submit(encoder, texts)[1].wait(), expected, atol=1e-6)


def _ask_for_positions(graph: Any, first: int) -> None:
    """Have positions looked up in the table, which begins with so many rows of padding."""
    slices = next(node for node in graph.graph.node if node.op_type == "Slice")
    table = next(one for one in graph.graph.initializer if one.name == slices.input[0])
    rows = numpy_helper.to_array(table)
    padded = np.concatenate([np.full_like(rows[:first], np.nan), rows])
    table.CopyFrom(numpy_helper.from_array(padded, table.name))
    slices.CopyFrom(
        helper.make_node("Gather", [table.name, "position_ids"], list(slices.output), axis=0)
    )
    shape = ["batch", "sequence"]
    graph.graph.input.append(
        helper.make_tensor_value_info("position_ids", TensorProto.INT64, shape)
    )


_ONE = helper.make_tensor("one", TensorProto.INT64, [1], [1])


def test_texts_that_cannot_run_fail_alone(tmp_path: Path) -> None:
    """A token outside the vocabulary ends the call that has it, and none of those that shared its run."""
    good, bad = [1, 2, 3], [1, 10_000, 3]
    with opened(write_embedder(tmp_path)) as encoder:
        expected = submit(encoder, [good])[1].wait()
        outcomes = [submit(encoder, [bad if place % 3 == 0 else good])[1] for place in range(12)]
        for place, outcome in enumerate(outcomes):
            if place % 3 == 0:
                with pytest.raises(InvalidArgument, match="indices"):
                    outcome.wait()
            else:
                assert np.array_equal(outcome.wait(), expected)
        assert [outcome.told for outcome in outcomes] == [1] * 12


def test_cancelled_and_late_calls_are_not_run(tmp_path: Path) -> None:
    """Whoever is gone, or was to be answered before, hears that once; the others are answered."""
    with opened(write_embedder(tmp_path)) as encoder:
        running = submit(encoder, _texts(400))[1]
        gone, of_gone = submit(encoder, _texts(300, seed=1))
        gone.cancelled = True
        late = submit(encoder, _texts(300, seed=2), SYSTEM_CLOCK.monotonic_ns() + 1)[1]
        stays = submit(encoder, [[5, 6]])[1]
        assert running.wait().shape == (400, SHAPE.hidden)
        assert stays.wait().shape == (1, SHAPE.hidden)
        with pytest.raises(Cancelled):
            of_gone.wait()
        with pytest.raises(DeadlineExceeded):
            late.wait()
        batcher = encoder.text_encoder.encoder
        assert (batcher.waiting, batcher.in_flight) == (0, 0)


def test_the_queue_has_a_bound(tmp_path: Path) -> None:
    """Over queue.max_requests a call hears so at once."""
    config = ServingConfig(queue=QueuePolicy(max_requests=1))
    with opened(write_embedder(tmp_path), config) as encoder:
        first = submit(encoder, _texts(2000))[1]
        with pytest.raises(ResourceExhausted, match="Exceeds maximum queue size"):
            submit(encoder, [[1]])
        assert len(first.wait()) == 2000


def test_a_stopped_encoder_finishes_and_takes_no_more(tmp_path: Path) -> None:
    """Stopping answers what was taken; whoever comes later is told to ask the route again."""
    with opened(write_embedder(tmp_path)) as encoder:
        outcome = submit(encoder, _texts(100))[1]
        encoder.text_encoder.encoder.stop()
        assert len(outcome.wait()) == 100
        with pytest.raises(SchedulerStopped):
            submit(encoder, [[1]])


def test_the_serving_config_says_what_files_do_not(tmp_path: Path) -> None:
    """Pooling and normalisation of the config hold over those of the files."""
    folder = write_embedder(tmp_path, pooling="mean")
    encoding = EncodingConfig(pooling=Pooling.CLS, normalize=False)
    texts = _texts(5)
    expected = np.stack([one[0] for one in bare_outputs(folder, texts, "last_hidden_state")])
    with opened(folder, replace(ServingConfig(), encoding=encoding)) as encoder:
        assert np.allclose(submit(encoder, texts)[1].wait(), expected, atol=1e-6)


def test_an_idle_encoder_rests_ends_its_thread_and_begins_again(tmp_path: Path) -> None:
    """Once nobody called for a while; the next call starts a thread anew."""
    folder = write_embedder(tmp_path)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    graph = encoder_graph(ends_of_session(session))
    assert graph is not None
    files = read_encoder_files(folder, graph, EncodingConfig())
    assert files is not None
    rested = threading.Semaphore(0)
    encoding = Encoding("tiny", ServingConfig(), 48, Pooling.MEAN, normalizes=True)
    batcher = TokenBatcher(
        encoding,
        GraphSession(session, files),
        SYSTEM_CLOCK,
        rest=rested.release,
        linger_seconds=0.01,
    )
    for _ in range(2):
        outcome = Outcome()
        call = EncodingCall(EncodingRequest([[2, 5, 3]]), outcome, "stable", 0)
        batcher.submit(call)
        assert outcome.wait().shape == (1, SHAPE.hidden)
        assert rested.acquire(timeout=20)
    batcher.stop()
