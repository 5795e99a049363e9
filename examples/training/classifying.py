"""A classifier from rows to a served graph: trained, cross-validated, judged on rows held out, exported."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import nn

from examples.training.fitting import History, fit
from examples.training.intervals import Figure, bootstrapped, over_folds
from examples.training.options import Options, report
from examples.training.splits import Labels, Rows, Split, balance, folds, split

Inputs = Mapping[str, npt.NDArray[Any]]
_CHECKED = 200
"""So many rows held out are compared between torch and ONNX Runtime."""
_TOLERANCE = 1e-4


class Prepared(Protocol):
    """The facts learnt of training rows alone, such as a vocabulary or means, and the model over them."""

    def model(self) -> Any:
        """A network that has not been trained, from the tensors of rows to a score for each class."""

    def tensors(self, rows: Rows) -> tuple[Any, ...]:
        """Rows as the network takes them."""

    def graph(self, model: Any) -> onnx.ModelProto:
        """The trained network from what callers send to `label` and `probabilities`."""


class Task(Protocol):
    """Rows that have one of several classes each."""

    @property
    def labels(self) -> Labels:
        """The number of each row's class."""

    @property
    def classes(self) -> Sequence[str]:
        """The names of the classes."""

    @property
    def batch_rows(self) -> int:
        """The rows between two steps of the gradient."""

    @property
    def rate(self) -> float:
        """The length of a step."""

    def prepared(self, training: Rows) -> Prepared:
        """Learn what has to be learnt before training, from these rows alone."""

    def inputs(self, rows: Rows) -> Inputs:
        """Rows as callers send them."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """A trained model, which rows it has not seen, and what was measured."""

    path: Path
    model: Any
    prepared: Prepared
    rows: Split
    history: History
    accuracy: Figure

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float32]:
        """What torch itself answers for rows."""
        with torch.no_grad():
            scores = self.model(*self.prepared.tensors(rows))
            answer: npt.NDArray[np.float32] = torch.softmax(scores, 1).numpy()
        return answer


def train(task: Task, options: Options) -> Classifier:
    """Do all of it, print what was measured, and write model, labels, sample and metrics below `out`."""
    started = time.perf_counter()
    rows = split(task.labels, options.seed)
    seen = np.concatenate([rows.training, rows.validation])
    validation = _cross_validated(task, seen, options) if options.folds else {}
    prepared, model, history = _trained(task, rows, options, say=print)
    path = options.out / "model" / "model.onnx"
    path.parent.mkdir(exist_ok=True)
    onnx.save(prepared.graph(model), path)
    said = _answers(task, model, prepared, rows.test)
    figures = _judged(task.labels[rows.test], said.argmax(1), len(task.classes), options.seed)
    classifier = Classifier(path, model, prepared, rows, history, figures["accuracy"])
    facts = {
        **{f"rows of {name}": n for name, n in balance(task.labels, task.classes).items()},
        "rows trained on": len(rows.training),
        "rows held out": len(rows.test),
        "best epoch": f"{history.best} of {len(history.epochs)}",
        "validation over training loss": round(history.gap, 2),
        "seconds": round(time.perf_counter() - started, 1),
        "bytes": path.stat().st_size,
        "largest difference to torch": _compared(classifier, task),
    }
    _write_beside(task, rows, options.out, history)
    report(options.out, facts, validation=validation, held_out=figures)
    return classifier


def _cross_validated(task: Task, rows: Rows, options: Options) -> dict[str, Figure]:
    """The accuracy over folds: each trains anew, also its vocabulary, on the rows of the others."""
    values = []
    for fold in folds(task.labels, rows, options.folds, options.seed):
        prepared, model, _ = _trained(task, fold, options, say=lambda _: None)
        said = _answers(task, model, prepared, fold.test).argmax(1)
        values.append(float(np.mean(said == task.labels[fold.test])))
        print(f"fold {len(values)} of {options.folds}: accuracy {values[-1]:.4f}")
    return {"accuracy": over_folds(values)}


def _trained(
    task: Task, rows: Split, options: Options, *, say: Callable[[str], None]
) -> tuple[Prepared, Any, History]:
    torch.manual_seed(options.seed)
    prepared = task.prepared(rows.training)
    model = prepared.model()
    # A class that has few rows counts as much as one that has many.
    counts = np.bincount(task.labels[rows.training], minlength=len(task.classes))
    weights = torch.tensor(
        counts.sum() / (len(counts) * np.maximum(counts, 1)), dtype=torch.float32
    )
    criterion = nn.CrossEntropyLoss(weight=weights)
    random = np.random.default_rng(options.seed)

    def loss(batch: Rows) -> Any:
        return criterion(model(*prepared.tensors(batch)), torch.from_numpy(task.labels[batch]))

    def batches() -> Iterator[Rows]:
        return _pieces(random.permutation(rows.training), task.batch_rows)

    def validation() -> float:
        total = sum(float(loss(r)) * len(r) for r in _pieces(rows.validation, task.batch_rows))
        return total / len(rows.validation)

    history = fit(model, batches, loss, validation, epochs=options.epochs, rate=task.rate, say=say)
    return prepared, model, history


def _pieces(rows: Rows, size: int) -> Iterator[Rows]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _answers(task: Task, model: Any, prepared: Prepared, rows: Rows) -> npt.NDArray[np.float32]:
    with torch.no_grad():
        return np.concatenate(
            [model(*prepared.tensors(piece)).numpy() for piece in _pieces(rows, task.batch_rows)]
        )


def _judged(truth: Labels, said: Labels, classes: int, seed: int) -> dict[str, Figure]:
    """Accuracy, and recall as the mean over classes, with intervals."""

    def accuracy(truth: Labels, said: Labels) -> float:
        return float(np.mean(truth == said))

    def recall(truth: Labels, said: Labels) -> float:
        own = [said[truth == each] == each for each in range(classes)]
        return float(np.mean([right.mean() for right in own if len(right)]))

    return {
        "accuracy": bootstrapped(accuracy, truth, said, seed=seed),
        "recall": bootstrapped(recall, truth, said, seed=seed),
    }


def _compared(classifier: Classifier, task: Task) -> float:
    """The largest difference of a probability to torch's. Raises ArithmeticError over the tolerance."""
    rows = classifier.rows.test[:_CHECKED]
    session = onnxruntime.InferenceSession(classifier.path, providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], dict(task.inputs(rows)))
    largest = float(np.abs(found - classifier.probabilities(rows)).max())
    if largest > _TOLERANCE:
        raise ArithmeticError(f"the graph answers otherwise than torch: by {largest}")
    return largest


def _write_beside(task: Task, rows: Split, out: Path, history: History) -> None:
    """The names of the classes, rows of the training for a reference, and the course of the training."""
    names = "\n".join(task.classes) + "\n"
    (out / "model" / "probabilities.labels.txt").write_text(names, encoding="utf-8")
    (out / "history.json").write_text(json.dumps(history.as_json(), indent=2) + "\n")
    sample: dict[str, Any] = dict(task.inputs(rows.training[:1000]))
    held_out: dict[str, Any] = {
        **task.inputs(rows.test),
        "truth": np.array([task.classes[label] for label in task.labels[rows.test]]),
    }
    if any(
        column.dtype == object for column in sample.values()
    ):  # texts, for which JSON is plainer
        columns = {name: column.tolist() for name, column in held_out.items()}
        lines = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        (out / "held_out.jsonl").write_text("".join(f"{_json(line)}\n" for line in lines), "utf-8")
        lists = {name: column.tolist() for name, column in sample.items()}
        (out / "sample.json").write_text(_json(lists), "utf-8")
    else:
        np.savez_compressed(out / "held_out.npz", **held_out)
        np.savez_compressed(out / "sample.npz", **sample)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
