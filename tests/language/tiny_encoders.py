"""Writes tiny encoders as folders of files, in the layout of sentence-transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.language.bert_graphs import BertShape, bert_model, random_weights, save

SHAPE = BertShape()

SENTENCES = (
    "the cat sat on the mat",
    "a dog ran over the hill",
    "rivers carry water to the sea",
    "the price of bread went up again",
    "engineers measure what they build",
    "zebras and quick foxes jump very high",
)
"""What its tokenizer was trained on."""


def write_embedder(
    folder: Path,
    *,
    pooling: str = "mean",
    normalizes: bool = True,
    max_length: int = 48,
    **config: Any,
) -> Path:
    """Write an encoder that embeds; the folder. `config` goes into config.json."""
    _write_common(folder, ["BertModel"], config, max_length)
    save(bert_model(SHAPE, random_weights(SHAPE)), folder / "model.onnx")
    modules = ["Transformer", "Pooling", *(["Normalize"] if normalizes else [])]
    listed = [
        {"idx": place, "name": str(place), "path": f"{place}_{name}" if place else ""}
        | {"type": f"sentence_transformers.models.{name}"}
        for place, name in enumerate(modules)
    ]
    _write(folder / "modules.json", listed)
    modes = {f"pooling_mode_{mode}": name == pooling for name, mode in _MODES.items()}
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": SHAPE.hidden} | modes)
    return folder


def write_reranker(folder: Path, *, max_length: int = 48) -> Path:
    """Write a cross-encoder; the folder."""
    config = {"id2label": {"0": "LABEL_0"}}
    _write_common(folder, ["BertForSequenceClassification"], config, max_length)
    weights = random_weights(SHAPE, seed=11, labels=1)
    save(bert_model(SHAPE, weights, classifies=True), folder / "model.onnx")
    return folder


_MODES = {
    "cls": "cls_token",
    "mean": "mean_tokens",
    "max": "max_tokens",
    "last": "lasttoken",
    "root": "mean_sqrt_len_tokens",
    "weighted": "weightedmean_tokens",
}


def _write_common(
    folder: Path, architectures: list[str], config: dict[str, Any], max_length: int
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {
        "architectures": architectures,
        "model_type": "bert",
        "hidden_size": SHAPE.hidden,
        "vocab_size": SHAPE.vocabulary,
        "max_position_embeddings": SHAPE.positions,
        "pad_token_id": 0,
    }
    _write(folder / "config.json", sizes | config)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": max_length})
    _write_tokenizer(folder / "tokenizer.json")


def _write_tokenizer(path: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=SHAPE.vocabulary, special_tokens=special, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_padding(length=32)  # as many are published: whoever serves them must undo it
    tokenizer.enable_truncation(16)
    tokenizer.save(str(path))


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
