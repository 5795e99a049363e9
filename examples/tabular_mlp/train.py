"""Trains a network on which flights arrive late, of one quarter, and exports it with its encoding.

python -m examples.tabular_mlp.train --out build/flights
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from examples.tabular_mlp.encoding import UNKNOWN, Encoding, learnt
from examples.tabular_mlp.export import exported
from examples.tabular_mlp.flights import CATEGORIES, DAY, MONTH, TARGET, flights
from examples.tabular_mlp.network import Network, Rows, class_weight, train
from examples.training.intervals import bootstrapped, over_folds
from examples.training.options import Options, parsed, report
from examples.training.thresholds import best_threshold, imbalanced_figures

if TYPE_CHECKING:
    import pandas as pd

FIRST_QUARTER = (1, 2, 3)
FOLDS = 5
"""Of days: one for holding out, one for validation, the others to train; and for cross-validation."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A network, how its rows are encoded, and the threshold over which a flight is labelled late."""

    encoding: Encoding
    network: Network
    weight: float
    threshold: float
    epochs: int

    def probabilities(self, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
        """How likely each flight is late, as torch has it."""
        logits = self.network.logits(_encoded(self.encoding, rows)) - np.log(self.weight)
        return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))

    def save(self, options: Options) -> int:
        """Write the graph; its size."""
        path = options.out / "model.onnx"
        model = exported(self.encoding, self.network, self.weight, self.threshold)
        path.write_bytes(model.SerializeToString())
        return path.stat().st_size


def fold_of(rows: pd.DataFrame, seed: int) -> npt.NDArray[np.int64]:
    """Which fifth of the days each flight is in."""
    order = np.random.default_rng(seed).permutation(367)
    return np.asarray(order[rows[DAY]] % FOLDS, np.int64)


def trained(
    training: pd.DataFrame,
    validation: pd.DataFrame,
    seed: int,
    threshold: float | None = None,
) -> Trained:
    """Learn the encoding and the network from some rows; stop, and choose the threshold, by others."""
    torch.manual_seed(seed)
    encoding = learnt(training)
    rows, others = _encoded(encoding, training), _encoded(encoding, validation)
    network = Network(
        rows.numbers.shape[1], [len(encoding.known[name]) + UNKNOWN + 1 for name in CATEGORIES]
    )
    epochs = train(network, rows, others, seed)
    weight = class_weight(rows.truth)
    model = Trained(encoding, network, weight, threshold or 0.5, epochs)
    if threshold is None:
        best = best_threshold(others.truth, model.probabilities(validation))
        model = replace(model, threshold=best)
    return model


def cross_validated(rows: pd.DataFrame, folds: npt.NDArray[np.int64], seed: int) -> dict[str, Any]:
    """ROC AUC and PR AUC of days that neither training nor stopping saw, for each fifth of them."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    aucs, precisions = [], []
    for fold in range(FOLDS):
        held_out, stop = folds == fold, folds == (fold + 1) % FOLDS
        model = trained(rows[~held_out & ~stop], rows[stop], seed)
        truth, scores = rows[held_out][TARGET], model.probabilities(rows[held_out])
        aucs.append(float(roc_auc_score(truth, scores)))
        precisions.append(float(average_precision_score(truth, scores)))
    return {"roc_auc": over_folds(aucs), "pr_auc": over_folds(precisions)}


def run(rows: pd.DataFrame, options: Options, *, folds: bool = True) -> Trained:
    """Train, measure, and write all that serving and checking take."""
    if options.rows is not None:
        rows = rows.sample(options.rows, random_state=options.seed)
    fold = fold_of(rows, options.seed)
    held_out = rows[fold == 0]
    started = time.monotonic()
    model = trained(rows[fold > 1], rows[fold == 1], options.seed)
    seconds = time.monotonic() - started
    size = model.save(options)
    held_out.drop(columns=[MONTH, DAY]).to_parquet(options.out / "heldout.parquet", index=False)
    truth, scores = held_out[TARGET].to_numpy(), model.probabilities(held_out)
    report(
        options.out,
        {
            "rows": int((fold > 1).sum()),
            "seconds": round(seconds, 2),
            "epochs": model.epochs,
            "bytes": size,
            "threshold": round(model.threshold, 3),
        },
        validation=cross_validated(rows, fold, options.seed) if folds else {},
        held_out=imbalanced_figures(truth, scores, model.threshold, seed=options.seed)
        | {"log_loss": bootstrapped(_log_loss, truth, scores, seed=options.seed)},
    )
    return model


def _encoded(encoding: Encoding, rows: pd.DataFrame) -> Rows:
    return Rows(encoding.numbers(rows), encoding.places(rows), rows[TARGET].to_numpy())


def _log_loss(truth: Any, scores: Any) -> float:
    from sklearn.metrics import log_loss

    return float(log_loss(truth, scores))


def main() -> None:
    """Read the options, take the flights of the first quarter, train."""
    options = parsed(__doc__)
    run(flights(FIRST_QUARTER), options)
    print(f"written to {options.out.resolve()}")


if __name__ == "__main__":
    main()
