"""Size, speed and loss of every method of `headrace optimise`, for four networks, without a suite.

python -m benchmarks.optimise                     # all of them
python -m benchmarks.optimise mlp encoder --seconds 20

The perceptron, the convolutional network and the text classifier are trained here, on scikit-learn's
digits and on made-up texts of two hundred words that lean to one of eight topics; the encoder is that of
the other benchmarks, with random weights: its loss is how far answers are off, beside their spread.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from torch import nn

from benchmarks.models import encoder
from examples.training.torch_export import exported
from headrace.lifecycle.evaluation.questions import Question
from headrace.lifecycle.optimisation.artifact_folders import ArtifactFolder
from headrace.lifecycle.optimisation.candidates import Candidate, make_candidate
from headrace.lifecycle.optimisation.judging import Allowed, Judge, mixes_rows
from headrace.lifecycle.optimisation.losses import Criterion
from headrace.lifecycle.optimisation.measuring.local import measure_local
from headrace.lifecycle.optimisation.methods import AUTO, chains_of
from headrace.lifecycle.optimisation.samples import Sample, sample_of
from headrace.lifecycle.predictors.session import SessionPredictor
from headrace.lifecycle.tables.rows import Rows

Case = tuple[onnx.ModelProto, dict[str, Any], Any]
"""A model, rows for it, and the truth; None where there is none."""
ROWS_A_RUN = 32
WORDS, LENGTH, TOPICS = 20_000, 200, 8


def mlp() -> Case:
    """A perceptron of digits, 64 → 256 → 128 → 10."""
    layers = (nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    return _of_digits(nn.Sequential(*layers))


def cnn() -> Case:
    """Three convolutions of digits, two dense layers."""
    return _of_digits(
        nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)),
            *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(64 * 16, 128), nn.ReLU(), nn.Linear(128, 10)),
        )
    )


class _Topics(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """Embeddings of words, averaged, then two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 64)
        self.dense = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, TOPICS))

    def forward(self, words: Any) -> Any:
        return self.dense(self.words(words).mean(dim=1))


def text() -> Case:
    """A classifier of texts: 20,000 words, 64 values each."""
    random = np.random.default_rng(0)
    topics = random.integers(0, TOPICS, 3000)
    words = random.integers(0, WORDS, (3000, LENGTH))
    leaning = random.random((3000, LENGTH)) < 0.03
    words = np.where(leaning, words // TOPICS * TOPICS + topics[:, None], words)
    network = _fitted(_Topics(), torch.tensor(words[:2000]), torch.tensor(topics[:2000]), 12)
    model = exported(network, [torch.tensor(words[:2])])
    return model, {model.graph.input[0].name: words[2000:]}, topics[2000:]


def bert() -> Case:
    """The encoder of the other benchmarks, four layers of it, over 64 tokens."""
    model = onnx.load_from_string(encoder(layers=4, length=64))
    return model, {"ids": np.random.default_rng(2).integers(0, 1000, (96, 64))}, None


CASES: Mapping[str, Callable[[], Case]] = {"mlp": mlp, "cnn": cnn, "text": text, "encoder": bert}


def _of_digits(network: nn.Module) -> Case:
    found = load_digits()
    images = torch.tensor(found.data / 16, dtype=torch.float32)
    fitted = _fitted(network, images[:1000], torch.tensor(found.target[:1000]), 40)
    model = exported(fitted, [images[:2]])
    return model, {model.graph.input[0].name: images[1000:].numpy()}, found.target[1000:]


def _fitted(network: nn.Module, rows: Any, labels: Any, epochs: int) -> nn.Module:
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(epochs):
        for places in torch.randperm(len(rows)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(rows[places]), labels[places]).backward()
            optimiser.step()
    return network.eval()


async def measure(name: str, loss: float, seconds: float) -> None:
    """Make all candidates of a case, and print what each costs and brings."""
    model, inputs, truth = CASES[name]()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "parent").mkdir()
        onnx.save(model, folder / "parent" / "model.onnx")
        parent = ArtifactFolder(folder / "parent", "model.onnx")
        truths = None if truth is None else Rows(0, {"truth": truth})
        sample = sample_of(inputs, truths, SessionPredictor(parent.graph).signature, name)
        made = _candidates(parent, sample, truth, loss, seconds, folder)
        graphs = [(parent.graph, ROWS_A_RUN)]
        for each in made:
            if each.artifact:
                mixes = mixes_rows(each.artifact.load())
                graphs.append((each.artifact.graph, 1 if mixes else ROWS_A_RUN))
        costs = await measure_local(graphs, sample.judging.first(96).inputs, seconds)
        print(f"{name}: {parent.model_bytes / 1e3:.1f} kB, {costs[0].rows_per_second:,.0f} rows/s")
        rest = iter(costs[1:])
        for each in made:
            if each.artifact is None or each.difference is None:
                print(f"  {each.name:20} left out: {each.refused[:80]}")
                continue
            cost = next(rest)
            print(
                f"  {each.name:20} size {each.artifact.model_bytes / parent.model_bytes:5.2f}x"
                f"  latency {cost.p50_ms / costs[0].p50_ms:5.2f}x"
                f"  rate {cost.rows_per_second / costs[0].rows_per_second:5.2f}x"
                f"  loss {each.difference.loss.value:+.4f}"
                f" [{each.difference.loss.lower:+.4f}, {each.difference.loss.upper:+.4f}]"
                f"  {'; '.join(f'{key} {value[:40]}' for key, value in each.facts.items())}"
            )


def _candidates(
    parent: ArtifactFolder, sample: Sample, truth: Any, loss: float, seconds: float, folder: Path
) -> list[Candidate]:
    criterion = None if truth is None else Criterion(Question(("truth",)), "accuracy")
    judge, end = Judge(parent.load(), sample, criterion=criterion), time.monotonic() + seconds
    return [
        make_candidate(
            chain, parent, judge, Allowed(loss), folder / str(place), lambda: time.monotonic() < end
        )
        for place, chain in enumerate(chains_of([AUTO]))
    ]


def main() -> None:
    """Measure the cases that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=list(CASES), choices=[*CASES, []])
    parser.add_argument("--loss", type=float, default=0.005)
    parser.add_argument("--seconds", type=float, default=15.0, help="to search, and to measure")
    given = parser.parse_args()
    for name in given.cases:
        asyncio.run(measure(name, given.loss, given.seconds))


if __name__ == "__main__":
    main()
