"""Writes tiny encoders as folders of files, in the layout of sentence-transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.language.bert_graphs import BertShape, bert_model, random_weights, save

SHAPE = BertShape()
MINILM = BertShape(
    vocabulary=30_522, hidden=384, heads=12, layers=6, intermediate=1536, positions=512
)
"""The sizes of all-MiniLM-L6-v2, which many use to embed."""

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
    shape: BertShape = SHAPE,
    **config: Any,
) -> Path:
    """Write an encoder that embeds; the folder. `config` goes into config.json."""
    _write_common(folder, ["BertModel"], config, max_length, shape)
    save(bert_model(shape, random_weights(shape)), folder / "model.onnx")
    modules = ["Transformer", "Pooling", *(["Normalize"] if normalizes else [])]
    listed = [
        {"idx": place, "name": str(place), "path": f"{place}_{name}" if place else ""}
        | {"type": f"sentence_transformers.models.{name}"}
        for place, name in enumerate(modules)
    ]
    _write(folder / "modules.json", listed)
    modes = {f"pooling_mode_{mode}": name == pooling for name, mode in _MODES.items()}
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": shape.hidden} | modes)
    return folder


def write_minilm(folder: Path) -> Path:
    """Write an embedder as large as all-MiniLM-L6-v2, of random weights; the folder."""
    return write_embedder(folder, max_length=256, shape=MINILM)


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
    folder: Path,
    architectures: list[str],
    config: dict[str, Any],
    max_length: int,
    shape: BertShape = SHAPE,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {
        "architectures": architectures,
        "model_type": "bert",
        "hidden_size": shape.hidden,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions,
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
