"""Teach a small network what a large one knows of digits, and compare both with one taught by labels alone.

The student is trained on the teacher's probabilities, made softer by a temperature, over images and noisy
copies of them (Hinton, Vinyals and Dean, 2015): for these nobody needs labels.

    python -m examples.distillation.train --out build/
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional

from examples.training.torch_export import exported

TEMPERATURE = 3.0
SEED = 0
NOISE = 0.15
"""The spread of the noise on copies, beside the brightest pixel."""


@dataclass(frozen=True, slots=True)
class Data:
    """Images in rows from 0 to 1, with their labels: labelled ones, others without, and those held out."""

    labelled: Any
    labels: Any
    unlabelled: Any
    held_out: Any
    truth: Any


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    accuracy: float
    weights: int
    kilobytes: float
    microseconds: float
    """For one row on one core, by ONNX Runtime."""


class Pixels(nn.Module):
    """Probabilities of pixels from 0 to 16, as callers send them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Any) -> Any:
        """The probability of each digit."""
        return functional.softmax(self.network(image / 16.0), dim=1)


def digits(labelled: int) -> Data:
    """So many labelled images; the rest that is not held out is without labels."""
    found = load_digits()
    images = torch.tensor(found.data / 16.0, dtype=torch.float32)
    labels = torch.tensor(found.target)
    rest, held_out, known, truth = train_test_split(
        images, labels, test_size=0.3, random_state=SEED, stratify=labels
    )
    return Data(rest[:labelled], known[:labelled], rest, held_out, truth)


def teacher() -> nn.Module:
    """A convolutional network."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(64 * 16, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10)),
    )


def student() -> nn.Module:
    """A perceptron with one hidden layer."""
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


Loss = Callable[[Any, Any], Any]


def fit(make: Callable[[], nn.Module], images: Any, targets: Any, loss: Loss, epochs: int) -> Any:
    """Train a network from a fixed seed, in batches of 64."""
    torch.manual_seed(SEED)
    network = make()
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(epochs):
        network.train()
        for places in torch.randperm(len(images)).split(64):
            optimiser.zero_grad()
            loss(network(images[places]), targets[places]).backward()
            optimiser.step()
    return network.eval()


def soft_loss(said: Any, taught: Any) -> Any:
    """How far a student's softened probabilities are from its teacher's."""
    softened = functional.log_softmax(said / TEMPERATURE, dim=1)
    return functional.kl_div(softened, taught, reduction="batchmean") * TEMPERATURE**2


def distilled(data: Data, taught_by: nn.Module, epochs: int) -> Any:
    """A student of a teacher's probabilities over all images and four noisy copies of each."""
    torch.manual_seed(SEED)
    copies = data.unlabelled.repeat(5, 1)
    noise = torch.randn_like(copies) * NOISE
    noise[: len(data.unlabelled)] = 0
    images = (copies + noise).clamp(0, 1)
    with torch.no_grad():
        taught = functional.softmax(taught_by(images) / TEMPERATURE, dim=1)
    return fit(student, images, taught, soft_loss, epochs)


def write(network: nn.Module, path: Path) -> None:
    """Export a network: FP32 `image` [batch, 64] of pixels from 0 to 16 to `probabilities` [batch, 10]."""
    model = exported(Pixels(network), [torch.zeros(2, 64)])
    for ends, name in ((model.graph.input, "image"), (model.graph.output, "probabilities")):
        _rename(model, ends[0].name, name)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _rename(model: onnx.ModelProto, before: str, after: str) -> None:
    for each in (*model.graph.input, *model.graph.output):
        each.name = after if each.name == before else each.name
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [after if name == before else name for name in names]


def row(name: str, path: Path, data: Data) -> Row:
    """Measure an exported network."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    images = data.held_out.numpy() * np.float32(16)
    said = session.run(None, {"image": images})[0].argmax(axis=1)
    took = []
    for place in range(300):
        start = time.perf_counter()
        session.run(None, {"image": images[place : place + 1]})
        took.append(time.perf_counter() - start)
    model = onnx.load(path)
    weights = sum(int(np.prod(each.dims)) for each in model.graph.initializer)
    accuracy = float(np.mean(said == data.truth.numpy()))
    return Row(name, accuracy, weights, path.stat().st_size / 1e3, float(np.median(took)) * 1e6)


def run(out: Path, labelled: int = 300, epochs: int = 60) -> list[Row]:
    """Train all three, write their graphs, and compare them."""
    out.mkdir(parents=True, exist_ok=True)
    data = digits(labelled)
    by_labels = nn.CrossEntropyLoss()
    taught_by = fit(teacher, data.labelled, data.labels, by_labels, epochs)
    networks = {
        "teacher": taught_by,
        "student by labels": fit(student, data.labelled, data.labels, by_labels, epochs * 2),
        "student distilled": distilled(data, taught_by, epochs),
    }
    rows = []
    for name, network in networks.items():
        path = out / f"{name.replace(' ', '-')}.onnx"
        write(network, path)
        rows.append(row(name, path, data))
    (out / "table.json").write_text(json.dumps([asdict(each) for each in rows], indent=2))
    return rows


def main() -> None:
    """Train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the folder for graphs and table")
    parser.add_argument("--labelled", type=int, default=300, help="images whose labels are used")
    parser.add_argument("--epochs", type=int, default=60)
    given = parser.parse_args()
    print(f"{'':18}  accuracy  weights      size  one row")
    for each in run(given.out, given.labelled, given.epochs):
        print(
            f"{each.name:18}  {each.accuracy:8.3f}  {each.weights:7,}  {each.kilobytes:5.1f} kB"
            f"  {each.microseconds:4.0f} µs"
        )


if __name__ == "__main__":
    main()
