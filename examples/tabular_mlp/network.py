"""The network and its training: forward, loss, gradient, descent, and a stop before it overfits."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

HIDDEN = (256, 128)
DROPOUT = 0.3
BATCH = 512
EPOCHS = 20
PATIENCE = 3
"""Epochs without a smaller loss on rows of validation."""
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-3

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """What a network learns from: numbers, places of texts, and the truth."""

    numbers: Array
    places: Array
    truth: Array

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The same as torch has it."""
        return (
            torch.from_numpy(self.numbers),
            torch.from_numpy(self.places),
            torch.from_numpy(self.truth.astype(np.float32)),
        )


class Network:
    """Embeddings of categories beside the numbers, then dense layers with ReLU; one logit a row."""

    def __init__(self, numbers: int, texts: Sequence[int]) -> None:
        """`texts` are the counts of texts of each category, the unknown one among them."""
        self.embeddings = torch.nn.ModuleList(
            torch.nn.Embedding(count, embedding_width(count)) for count in texts
        )
        sizes = [numbers + sum(map(embedding_width, texts)), *HIDDEN]
        layers: list[Any] = []
        for inputs, outputs in pairwise(sizes):
            layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU(), torch.nn.Dropout(DROPOUT)]
        self.layers = torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], 1))
        self.modules = torch.nn.ModuleList([self.embeddings, self.layers])

    def forward(self, numbers: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """The logit of each row."""
        embedded = [each(places[:, column]) for column, each in enumerate(self.embeddings)]
        return self.layers(torch.cat([numbers, *embedded], dim=1)).squeeze(1)

    def logits(self, rows: Rows) -> Array:
        """The logits of rows, without dropout."""
        numbers, places, _ = rows.tensors()
        self.modules.eval()
        with torch.no_grad():
            answer: Array = self.forward(numbers, places).numpy()
        return answer


def embedding_width(count: int) -> int:
    """Few numbers for few texts."""
    return min(16, (count + 1) // 2)


def train(network: Network, training: Rows, validation: Rows, seed: int) -> int:
    """Train until the loss of validation stops falling; returns the epochs that were kept.

    The rare class weighs as much as the other: `class_weight` of its rows.
    """
    torch.set_num_threads(1)  # batches of this size are not faster on several
    random = torch.Generator().manual_seed(seed)
    weight = torch.tensor(class_weight(training.truth))
    loss_of = torch.nn.BCEWithLogitsLoss(pos_weight=weight)
    descent = torch.optim.AdamW(
        network.modules.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
    )
    numbers, places, truth = training.tensors()
    best, kept, kept_epoch = float("inf"), network.modules.state_dict(), 0
    for epoch in range(1, EPOCHS + 1):
        network.modules.train()
        for some in torch.randperm(len(truth), generator=random).split(BATCH):
            logits = network.forward(numbers[some], places[some])  # forward
            loss = loss_of(logits, truth[some])  # how wrong
            descent.zero_grad()
            loss.backward()  # the gradient of each weight
            descent.step()  # a step against it
        now = float(loss_of(torch.from_numpy(network.logits(validation)), validation.tensors()[2]))
        if now < best:
            best, kept, kept_epoch = now, copy.deepcopy(network.modules.state_dict()), epoch
        elif epoch - kept_epoch >= PATIENCE:
            break
    network.modules.load_state_dict(kept)
    return kept_epoch


def class_weight(truth: Array) -> float:
    """How many rows of the common class there are for one of the rare."""
    return float((len(truth) - truth.sum()) / truth.sum())
