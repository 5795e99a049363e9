"""Two recurrent networks that tell speakers apart by how they say a vowel: an LSTM and a GRU.

python -m examples.sequences_lstm.train --out build/speakers
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from examples.training.classifying import Inputs, Prepared, train
from examples.training.graph import FLOAT, INT64, Graph
from examples.training.options import parsed
from examples.training.splits import Labels, Rows, dealt
from examples.training.torch_export import answer_classes, exported
from examples.training.wheels import file_of_wheel

WHEEL = ("aeon", "1.6.0")
FOLDER = "aeon/datasets/data/JapaneseVowels/JapaneseVowels"
FEATURES, LONGEST, HIDDEN = 12, 29, 48

Cell = Literal["lstm", "gru"]
Array = npt.NDArray[Any]


class Network(nn.Module):
    """A recurrent layer, whose output at a sequence's last step goes to a dense layer.

    What is behind the last step, the filling, comes after it and so cannot reach the answer.
    """

    def __init__(self, cell: Cell, mean: Array, deviation: Array, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("deviation", torch.from_numpy(deviation))
        kind = nn.LSTM if cell == "lstm" else nn.GRU
        self.recurrent = kind(FEATURES, HIDDEN, batch_first=True)
        self.dense = nn.Sequential(nn.Dropout(0.3), nn.Linear(HIDDEN, classes))

    def forward(self, sequence: Any, length: Any) -> Any:
        """Scores of sequences [batch, steps, 12], of which so many steps count."""
        steps, _ = self.recurrent((sequence - self.mean) / self.deviation)
        places = torch.arange(sequence.shape[1])[None, :]
        is_last = (places == length[:, None] - 1).to(steps.dtype)
        return self.dense((steps * is_last[:, :, None]).sum(1))


class Answering(nn.Module):
    """The network with probabilities for scores."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, sequence: Any, length: Any) -> Any:
        """Probabilities of sequences."""
        return torch.softmax(self.network(sequence, length), 1)


@dataclass(frozen=True, slots=True)
class Speakers:
    """Utterances of several speakers, filled up with zeros to the longest."""

    sequences: npt.NDArray[np.float32]
    lengths: npt.NDArray[np.int64]
    labels: Labels
    classes: Sequence[str]
    cell: Cell = "lstm"
    batch_rows: int = 16
    rate: float = 5e-3

    def inputs(self, rows: Rows) -> Inputs:
        """Utterances as callers send them, as long as the longest of them."""
        lengths = self.lengths[rows]
        return {"sequence": self.sequences[rows, : lengths.max()], "length": lengths}

    def prepared(self, training: Rows) -> Prepared:
        """The mean and the deviation of each feature over the steps that count."""
        steps = np.concatenate([self.sequences[r, : self.lengths[r]] for r in training])
        return Scaled(self, steps.mean(0), steps.std(0))


@dataclass(frozen=True, slots=True)
class Scaled:
    """The utterances, with the means and deviations that the graph takes from them."""

    task: Speakers
    mean: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]

    def model(self) -> Any:
        """A network that has not been trained."""
        return Network(self.task.cell, self.mean, self.deviation, len(self.task.classes))

    def tensors(self, rows: Rows) -> tuple[Any, ...]:
        """Utterances as the network takes them."""
        return tuple(torch.from_numpy(column) for column in self.task.inputs(rows).values())

    def graph(self, model: Any) -> onnx.ModelProto:
        """The trained network, with the names of the speakers."""
        graph = Graph("speakers")
        sequence = graph.input("sequence", FLOAT, "steps", FEATURES)
        length = graph.input("length", INT64)
        free = [["batch", "steps"], ["batch"]]
        inner = exported(Answering(model), self.tensors(np.arange(3)), free)
        answer_classes(graph, graph.include(inner, sequence, length)[0], self.task.classes)
        return graph.model(
            "Speakers by 12 coefficients a step. Fill up behind `length` with anything."
        )


def speakers(rows: int | None = None, seed: int = 0) -> Speakers:
    """The utterances that aeon brings, of both of its parts, or so many of them."""
    lines = [
        line
        for part in ("TRAIN", "TEST")
        for line in file_of_wheel(*WHEEL, f"{FOLDER}_{part}.ts").decode().splitlines()
        if line and line[0] not in "#@"
    ]
    labels = np.array([int(line.rpartition(":")[2]) - 1 for line in lines], np.int64)
    found = [_steps(line) for line in lines]
    sequences = np.zeros((len(found), LONGEST, FEATURES), np.float32)
    for place, steps in enumerate(found):
        sequences[place, : len(steps)] = steps
    lengths = np.array([len(steps) for steps in found], np.int64)
    task = Speakers(sequences, lengths, labels, [f"speaker {n}" for n in range(1, 10)])
    if rows is None:
        return task
    chosen = dealt(labels, (rows, max(len(labels) - rows, 0)), seed)[0]
    return replace(
        task, sequences=sequences[chosen], lengths=lengths[chosen], labels=labels[chosen]
    )


def _steps(line: str) -> npt.NDArray[np.float32]:
    """An utterance [steps, 12] of its line, which has feature after feature, and the speaker."""
    features = line.split(":")[:-1]
    return np.array([feature.split(",") for feature in features], np.float32).T


def main() -> None:
    """Train both on the command line's options, each into a folder of its own."""
    options = parsed(__doc__, epochs=60, folds=5)
    for cell in ("lstm", "gru"):
        print(f"\n{cell}")
        out = options.out / cell
        out.mkdir(exist_ok=True)
        task = speakers(options.rows, options.seed)
        train(replace(task, cell=cell), replace(options, out=out))


if __name__ == "__main__":
    main()
