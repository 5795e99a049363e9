"""A decoder is opened by what its files say, and by what its graph takes and gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from headrace import errors
from headrace.datatype_names import Datatype
from headrace.language.decoder_config import DecoderConfig, read_decoder_config
from headrace.language.graph_ends import GraphEnd, GraphEnds
from headrace.state.language_records import SamplingDefaults

IDS = GraphEnd(Datatype.INT64, (-1, -1))
KEPT = GraphEnd(Datatype.FP32, (-1, 2, -1, 8))
LOGITS = GraphEnd(Datatype.FP32, (-1, -1, 100))
GENAI: dict[str, Any] = {
    "model": {
        "type": "llama",
        "vocab_size": 100,
        "context_length": 64,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "decoder": {
            "filename": "model.onnx",
            "head_size": 8,
            "num_hidden_layers": 2,
            "num_key_value_heads": 2,
        },
    },
    "search": {"past_present_share_buffer": True},
}
HUGGING_FACE: dict[str, Any] = {
    "model_type": "qwen2",
    "vocab_size": 100,
    "max_position_embeddings": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 32,
    "eos_token_id": [2, 5],
}


def ends(
    *more: str,
    kept: GraphEnd = KEPT,
    logits: GraphEnd = LOGITS,
    layers: int = 2,
    ids: GraphEnd = IDS,
) -> GraphEnds:
    """What a decoder's graph takes and gives."""
    names = [f"{layer}.{part}" for layer in range(layers) for part in ("key", "value")]
    return GraphEnds(
        {
            "input_ids": ids,
            "attention_mask": IDS,
            **dict.fromkeys(more, IDS),
            **{f"past_key_values.{name}": kept for name in names},
        },
        {"logits": logits, **{f"present.{name}": kept for name in names}},
    )


def read(folder: Path, files: Mapping[str, Any], graph: GraphEnds) -> DecoderConfig:
    """The config of these files and such a graph."""
    for name, held in files.items():
        (folder / name).write_text(held if isinstance(held, str) else json.dumps(held))
    return read_decoder_config(folder, graph)


def genai(**changes: Any) -> dict[str, Any]:
    """A genai_config.json with other values; `decoder__x` is one of the decoder's."""
    model = {**GENAI["model"], "decoder": dict(GENAI["model"]["decoder"])}
    for name, held in changes.items():
        part = model["decoder"] if name.startswith("decoder__") else model
        part[name.removeprefix("decoder__")] = held
    return {"genai_config.json": {**GENAI, "model": model}}


def test_genai_config_says_all(tmp_path: Path) -> None:
    """Sizes and tokens are read from it; keys that nobody knows are passed over."""
    config = read(tmp_path, genai(eos_token_id=[2, 3], novelty={"x": 1}), ends("position_ids"))
    assert (
        DecoderConfig(
            architecture="llama",
            vocabulary_size=100,
            context_length=64,
            layers=2,
            kv_heads=2,
            head_size=8,
            kv_datatype=Datatype.FP32,
            logits_datatype=Datatype.FP32,
            ends=config.ends,
            end_tokens=(2, 3),
            bos_token=1,
            pad_token=0,
            shares_buffer=True,
        )
        == config
    )
    assert 2 * 2 * 2 * 8 * 4 == config.kv_bytes_per_token
    assert ("past_key_values.0.key", "past_key_values.1.key") == config.ends.past_keys
    assert ("present.0.value", "present.1.value") == config.ends.present_values
    assert ("position_ids", "") == (config.ends.position_ids, config.ends.logits_to_keep)


def test_names_of_the_config_count(tmp_path: Path) -> None:
    """A graph may name its inputs as it likes, if its config says so."""
    graph = GraphEnds(
        {"ids": IDS, "mask": IDS, "k_0": KEPT, "v_0": KEPT},
        {"out": LOGITS, "nk_0": KEPT, "nv_0": KEPT},
    )
    files = genai(
        decoder__num_hidden_layers=1,
        decoder__inputs={
            "input_ids": "ids",
            "attention_mask": "mask",
            "past_key_names": "k_%d",
            "past_value_names": "v_%d",
        },
        decoder__outputs={
            "logits": "out",
            "present_key_names": "nk_%d",
            "present_value_names": "nv_%d",
        },
    )
    found = read(tmp_path, files, graph).ends
    assert ("ids", "mask", ("v_0",), "out", ("nk_0",)) == (
        found.input_ids,
        found.attention_mask,
        found.past_values,
        found.logits,
        found.present_keys,
    )


def test_files_of_hugging_face_will_do(tmp_path: Path) -> None:
    """An export of optimum has no genai_config.json: the graph and config.json say what is needed."""
    free = GraphEnd(Datatype.FP16, (-1, -1, -1, -1))
    logits = GraphEnd(Datatype.FP16, (-1, -1, -1))
    generation = {"do_sample": True, "temperature": 0.7, "top_k": 20, "repetition_penalty": 1.1}
    files = {"config.json": HUGGING_FACE, "generation_config.json": generation}
    config = read(tmp_path, files, ends("position_ids", kept=free, logits=logits))
    assert ("qwen2", 100, 128, 2, 2, 8) == (
        config.architecture,
        config.vocabulary_size,
        config.context_length,
        config.layers,
        config.kv_heads,
        config.head_size,
    )
    assert (2, 5) == config.end_tokens
    assert Datatype.FP16 == config.kv_datatype
    assert not config.shares_buffer
    assert SamplingDefaults(temperature=0.7, top_k=20, repetition_penalty=1.1) == config.sampling


def test_an_end_is_found_by_its_text(tmp_path: Path) -> None:
    """Where no file gives the end token's number, the tokenizer has it."""
    files = {
        "tokenizer_config.json": {"eos_token": {"content": "</s>"}, "model_max_length": 77},
        "tokenizer.json": {
            "added_tokens": [{"id": 9, "content": "</s>"}, {"id": 1, "content": "<s>"}]
        },
    }
    config = read(tmp_path, files, ends())
    assert ((9,), 77) == (config.end_tokens, config.context_length)


def test_the_end_of_a_turn_ends_an_answer_too(tmp_path: Path) -> None:
    """Configs of base models that were taught to chat often name the end of a document alone."""
    files = {
        **genai(eos_token_id=2),
        "tokenizer_config.json": {"eos_token": "<|im_end|>"},
        "tokenizer.json": {"added_tokens": [{"id": 7, "content": "<|im_end|>"}], "model": {}},
    }
    assert (2, 7) == read(tmp_path, files, ends()).end_tokens


def test_values_of_a_wrong_type_are_as_if_they_were_not_there(tmp_path: Path) -> None:
    """Whoever wrote the file by hand hears of what is missing, not of Python's types."""
    files = genai(
        type="\x1b[31m" * 1000, eos_token_id=["2", None, True, 5], pad_token_id="0", vocab_size=1.5
    )
    config = read(tmp_path, {**files, "config.json": {"layer_types": 3}}, ends())
    assert ("decoder", (5,), None, 100) == (
        config.architecture,
        config.end_tokens,
        config.pad_token,
        config.vocabulary_size,
    )


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({"do_sample": False, "temperature": 1.0, "top_k": 50, "top_p": 1.0}, SamplingDefaults()),
        (
            {"do_sample": True, "temperature": 0.6, "top_k": 50, "top_p": 0.95},
            SamplingDefaults(temperature=0.6, top_p=0.95),
        ),
        (
            {"do_sample": False, "repetition_penalty": 1.2},
            SamplingDefaults(repetition_penalty=1.2),
        ),
    ],
)
def test_defaults_of_a_library_are_nobodys_wish(
    tmp_path: Path, search: dict[str, Any], expected: SamplingDefaults
) -> None:
    """genai writes its own defaults into each config."""
    files = {"genai_config.json": {**GENAI, "search": search}}
    assert expected == read(tmp_path, files, ends()).sampling


@pytest.mark.parametrize(
    ("files", "graph", "reason", "said"),
    [
        ({"genai_config.json": "{"}, ends(), "LANGUAGE_FILES_INVALID", "is not JSON"),
        ({"genai_config.json": "[" * 200_000}, ends(), "LANGUAGE_FILES_INVALID", "is not JSON"),
        ({"genai_config.json": "3"}, ends(), "LANGUAGE_FILES_INVALID", "not a JSON object"),
        (genai(decoder__num_hidden_layers=3), ends(), "LANGUAGE_FILES_INVALID", "2 layers"),
        (genai(decoder__head_size=16), ends(), "LANGUAGE_FILES_INVALID", "head_size 16"),
        (genai(vocab_size=99), ends(), "LANGUAGE_FILES_INVALID", "vocab_size 99"),
        (genai(context_length=0), ends(), "LANGUAGE_FILES_INVALID", "context length"),
        (genai(context_length=10**30), ends(), "LANGUAGE_FILES_INVALID", "at most 10000000"),
        (
            genai(vocab_size=10**30),
            ends(logits=GraphEnd(Datatype.FP32, (-1, -1, -1))),
            "LANGUAGE_FILES_INVALID",
            "vocab_size",
        ),
        (
            genai(decoder__head_size=10**30),
            ends(kept=GraphEnd(Datatype.FP32, (-1, 2, -1, -1))),
            "LANGUAGE_FILES_INVALID",
            "head_size",
        ),
        (genai(decoder__inputs={"past_key_names": "k%s"}), ends(), "GENERATION_UNSUPPORTED", "%d"),
        (genai(decoder__inputs={"past_key_names": "%d%d"}), ends(), "GENERATION_UNSUPPORTED", "%d"),
        (genai(tokenizer_dir="../x"), ends(), "LANGUAGE_FILES_INVALID", "tokenizer_dir"),
        (genai(decoder__filename="/etc/x"), ends(), "LANGUAGE_FILES_INVALID", "filename"),
        ({}, ends(kept=GraphEnd(Datatype.FP32, (-1,) * 4)), "LANGUAGE_FILES_INVALID", "heads"),
        (genai(vision={"filename": "v.onnx"}), ends(), "GENERATION_UNSUPPORTED", "model.vision"),
        (genai(mtp={"filename": "v.onnx"}), ends(), "GENERATION_UNSUPPORTED", "model.mtp"),
        (genai(decoder__pipeline=[{}]), ends(), "GENERATION_UNSUPPORTED", "decoder.pipeline"),
        (
            genai(decoder__sliding_window={"window_size": 16, "layers": [0]}),
            ends(),
            "GENERATION_UNSUPPORTED",
            "windowed_kv_cache=false",
        ),
        (genai(decoder__layer_types=["conv"]), ends(), "GENERATION_UNSUPPORTED", "'conv'"),
        (
            {"config.json": {"layer_types": ["linear_attention"]}},
            ends(),
            "GENERATION_UNSUPPORTED",
            "'linear_attention'",
        ),
        (genai(), ends("past_conv.0"), "GENERATION_UNSUPPORTED", "'past_conv.0'"),
        (genai(), ends("block_table"), "GENERATION_UNSUPPORTED", "'block_table'"),
        (genai(), ends(layers=0), "GENERATION_UNSUPPORTED", "no input 'past_key_values.0.key'"),
        (
            genai(),
            ends(kept=GraphEnd(Datatype.FP32, (-1, 2, 64, 8))),
            "GENERATION_UNSUPPORTED",
            "any number of tokens",
        ),
        (
            genai(),
            ends(kept=GraphEnd(Datatype.INT64, (-1, 2, -1, 8))),
            "GENERATION_UNSUPPORTED",
            "datatype",
        ),
        (
            genai(),
            ends(ids=GraphEnd(Datatype.INT32, (-1, -1))),
            "GENERATION_UNSUPPORTED",
            "all INT32",
        ),
    ],
)
def test_what_is_not_served_is_refused_by_name(
    tmp_path: Path, files: dict[str, Any], graph: GraphEnds, reason: str, said: str
) -> None:
    """The message says which file, key or input it is about."""
    with pytest.raises(errors.InvalidArgument, match=r"the language model is not taken") as refused:
        read(tmp_path, files, graph)
    assert (reason, True) == (refused.value.reason, said in refused.value.message)
