"""Classifiers of texts: embeddings of their tokens, averaged, and dense layers; the graph takes plain text.

A mean of embeddings is a product: how often a text has each token, times the table of embeddings, over the
number of tokens. The graph has it in this form, since ONNX Runtime's Tokenizer and TfIdfVectorizer count
tokens of raw text, and counts, unlike lists of tokens, are as long for one text as for another: texts of
several callers run together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from examples.training.classifying import Inputs, Prepared
from examples.training.graph import MICROSOFT, TEXT, Graph
from examples.training.splits import Labels, Rows
from examples.training.torch_export import answer_classes, exported

_PADDING = "\ue000"
"""What the Tokenizer fills short texts up with: a character that no text has."""
_LOWERED = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
"""The letters that StringNormalizer makes small in the locale C."""
WIDTH, HIDDEN, DROPOUT = 64, 64, 0.5

Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cutting:
    """A way to cut texts: `tokens` here, and the same as attributes of the graph's Tokenizer."""

    tokens: Callable[[str], list[str]]
    attributes: Mapping[str, Any]
    longest: int
    """So many tokens in a row are looked up as one, too."""
    least: int
    """Texts that have to have a token for it to be known."""

    def grams(self, text: str) -> list[Gram]:
        """The tokens of a text, and those in a row."""
        tokens = self.tokens(text.translate(_LOWERED))
        sizes = range(1, self.longest + 1)
        return [tuple(tokens[i : i + n]) for n in sizes for i in range(len(tokens) - n + 1)]


class AveragedEmbedding(nn.Module):
    """Embedding, global average pooling, dense."""

    def __init__(self, tokens: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(tokens + 1, WIDTH, mode="mean", padding_idx=0)
        self.dense = nn.Sequential(
            nn.Dropout(DROPOUT),
            nn.Linear(WIDTH, HIDDEN),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(HIDDEN, classes),
        )

    def forward(self, numbers: Any) -> Any:
        """Scores of texts, each a row of the numbers of its tokens, filled up with 0."""
        return self.dense(self.embedding(numbers))


class OfCounts(nn.Module):
    """The same of how often a text has each token."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.table = nn.Parameter(model.embedding.weight[1:].detach().clone())
        self.dense = model.dense

    def forward(self, counts: Any) -> Any:
        """Probabilities of texts."""
        average = counts @ self.table / counts.sum(1, keepdim=True).clamp(min=1)
        return torch.softmax(self.dense(average), 1)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens that are known, and the model over them."""

    grams: Sequence[Gram]
    rows: Sequence[Sequence[int]]
    """Each text's tokens by their numbers, from 1 on; those that are not known are left out."""
    cutting: Cutting
    classes: Sequence[str]

    def model(self) -> Any:
        """A network that has not been trained."""
        return AveragedEmbedding(len(self.grams), len(self.classes))

    def tensors(self, rows: Rows) -> tuple[Any, ...]:
        """Texts as numbers, as long as the longest of them."""
        texts = [self.rows[row] for row in rows]
        filled = np.zeros((len(texts), max([1, *map(len, texts)])), np.int64)
        for place, text in enumerate(texts):
            filled[place, : len(text)] = text
        return (torch.from_numpy(filled),)

    def graph(self, model: Any) -> onnx.ModelProto:
        """The trained network from plain text on."""
        graph = Graph("text")
        counts = self._counts(graph, graph.input("text", TEXT))
        inner = exported(OfCounts(model), [torch.ones(2, len(self.grams))])
        answer_classes(graph, graph.include(inner, counts)[0], self.classes)
        return graph.model(f"Classes of texts: {', '.join(self.classes)}.")

    def _counts(self, graph: Graph, text: str) -> str:
        small = graph.node("StringNormalizer", text, case_change_action="LOWER", locale="C")
        tokens = graph.node(
            "Tokenizer",
            small,
            domain=MICROSOFT,
            mark=0,
            mincharnum=1,
            pad_value=_PADDING,
            **self.cutting.attributes,
        )
        sizes = [
            sum(len(gram) == n for gram in self.grams) * n for n in range(1, self.cutting.longest)
        ]
        return graph.node(
            "TfIdfVectorizer",
            tokens,
            mode="TF",
            min_gram_length=1,
            max_gram_length=self.cutting.longest,
            max_skip_count=0,
            ngram_counts=np.cumsum([0, *sizes]).tolist(),
            ngram_indexes=list(range(len(self.grams))),
            pool_strings=[token for gram in self.grams for token in gram],
        )


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of one of several classes each."""

    texts: Sequence[str]
    labels: Labels
    classes: Sequence[str]
    cutting: Cutting
    batch_rows: int = 32
    rate: float = 3e-3

    def inputs(self, rows: Rows) -> Inputs:
        """Texts as callers send them."""
        return {"text": np.array([self.texts[row] for row in rows], object)}

    def prepared(self, training: Rows) -> Prepared:
        """The vocabulary: tokens that several of the training texts have."""
        cut = [self.cutting.grams(text) for text in self.texts]
        seen = Counter(gram for row in training for gram in set(cut[row]))
        known = sorted((g for g, count in seen.items() if count >= self.cutting.least), key=_order)
        number = {gram: place for place, gram in enumerate(known, 1)}
        rows = [[number[gram] for gram in grams if gram in number] for grams in cut]
        return Vocabulary(known, rows, self.cutting, self.classes)


def _order(gram: Gram) -> tuple[int, Gram]:
    """Single tokens first, as TfIdfVectorizer wants them."""
    return len(gram), gram


def without_repeats(pairs: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """The texts once each: one that trains and judges, too, would be praise for learning by heart."""
    return list(dict(reversed(list(pairs))).items())[::-1]
