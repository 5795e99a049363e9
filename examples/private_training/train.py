"""Train a classifier of digits with and without differential privacy, and say what the privacy costs.

DP-SGD (Abadi et al., 2016) clips the gradient of each example and adds noise, so that no single one
changes the model much: the chance of any outcome grows by a factor of e^epsilon at most when one example is
added or taken away, but for a probability delta. Opacus does it for torch.

    python -m examples.private_training.train --out build/ --epsilon 3
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

CLIP = 1.0
"""The most that one example's gradient may weigh (its L2 norm)."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, and what it can do."""

    accuracy: float
    epsilon: float | None
    """How much privacy was spent; None without DP-SGD, which promises none."""
    delta: float
    model: Any


@dataclass(frozen=True, slots=True)
class Data:
    """Examples to learn from and others to try it on: 64 numbers from 0 to 1, and the digit."""

    x: torch.Tensor
    y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor


def digits(rows: int | None = None) -> Data:
    """The digits of scikit-learn (UCI, 1,797 images of 8 by 8)."""
    images, labels = load_digits(return_X_y=True)
    x, test_x, y, test_y = train_test_split(
        (images / 16).astype(np.float32), labels, test_size=0.3, random_state=0, stratify=labels
    )
    return Data(*map(torch.from_numpy, (x[:rows], y[:rows], test_x, test_y)))


def trained(data: Data, epochs: int, seed: int, epsilon: float | None = None) -> Trained:
    """Train a network; with `epsilon` by DP-SGD, which spends at most that much."""
    torch.manual_seed(seed)
    model: Any = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.5)
    batches: Any = DataLoader(TensorDataset(data.x, data.y), batch_size=128, shuffle=True)
    delta, engine = 1 / len(data.x) / 10, None
    if epsilon is not None:
        from opacus import PrivacyEngine

        engine = PrivacyEngine(accountant="prv", secure_mode=False)
        model, optimizer, batches = engine.make_private_with_epsilon(
            module=model,
            optimizer=optimizer,
            data_loader=batches,
            target_epsilon=epsilon,
            target_delta=delta,
            epochs=epochs,
            max_grad_norm=CLIP,
        )
    for _ in range(epochs):
        for x, y in batches:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        right = (model(data.test_x).argmax(1) == data.test_y).float().mean()
    spent = engine.get_epsilon(delta) if engine is not None else None
    return Trained(float(right), spent, delta, getattr(model, "_module", model))


def export(model: Any, path: Path) -> None:
    """Write the model as ONNX: pixels from 0 to 1 in, the probability of each digit out."""
    whole = nn.Sequential(model, nn.Softmax(dim=1)).eval()
    torch.onnx.export(
        whole,
        (torch.zeros(2, 64),),
        str(path),
        input_names=["pixels"],
        output_names=["probabilities"],
        dynamic_shapes=({0: torch.export.Dim("rows")},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def main() -> None:
    """Train both, and print what each can do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build"))
    parser.add_argument("--epsilon", type=float, default=3.0)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rows", type=int, default=None, help="train on so many examples only")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = digits(options.rows)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, epsilon in (("plain", None), ("private", options.epsilon)):
        found = trained(data, options.epochs, options.seed, epsilon)
        export(found.model, options.out / f"{name}.onnx")
        told = {key: value for key, value in asdict(found).items() if key != "model"}
        print(json.dumps({"model": name, **told}))


if __name__ == "__main__":
    main()
