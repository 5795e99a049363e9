"""Writes genai_config.json for a decoder that write_decoder wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headrace.language.decoder_graph.decoder_shape import DecoderShape
from headrace.language.decoder_graph.writing import GRAPH_FILE

CONFIG_FILE = "genai_config.json"


@dataclass(frozen=True, slots=True)
class TextFacts:
    """Facts of a genai_config.json beyond the graph."""

    architecture: str
    """The family, such as `llama` or `qwen2`."""
    end_tokens: Sequence[int]
    begin_token: int | None = None
    padding_token: int | None = None
    sampling: Mapping[str, float | int | bool] = field(default_factory=dict)
    """genai's `search` where the model wants something else than the most likely token."""


def write_genai_config(folder: Path, shape: DecoderShape, facts: TextFacts) -> None:
    """Write the file that says how to run the folder's graph."""
    config = {"model": _model(shape, facts), "search": _search(shape, facts)}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def _model(shape: DecoderShape, facts: TextFacts) -> dict[str, object]:
    ends = list(facts.end_tokens)
    model: dict[str, object] = {
        "type": facts.architecture,
        "vocab_size": shape.vocabulary_size,
        "context_length": shape.context_length,
        "eos_token_id": ends[0] if len(ends) == 1 else ends,
        "pad_token_id": ends[0] if facts.padding_token is None else facts.padding_token,
        "decoder": _decoder(shape),
    }
    if facts.begin_token is not None:
        model["bos_token_id"] = facts.begin_token
    return model


def _decoder(shape: DecoderShape) -> dict[str, object]:
    return {
        "session_options": {"log_id": "onnxruntime-genai", "provider_options": []},
        "filename": GRAPH_FILE,
        "head_size": shape.head_size,
        "hidden_size": shape.hidden_size,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "inputs": {
            "input_ids": "input_ids",
            "attention_mask": "attention_mask",
            "past_key_names": "past_key_values.%d.key",
            "past_value_names": "past_key_values.%d.value",
        },
        "outputs": {
            "logits": "logits",
            "present_key_names": "present.%d.key",
            "present_value_names": "present.%d.value",
        },
    }


def _search(shape: DecoderShape, facts: TextFacts) -> dict[str, object]:
    return {
        "max_length": shape.context_length,
        "past_present_share_buffer": True,
        "do_sample": False,
        "num_beams": 1,
        "batch_size": 1,
        **facts.sampling,
    }
