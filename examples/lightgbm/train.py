"""Trains gradient boosted trees on credit risk, chooses a threshold, and exports both as ONNX.

python -m examples.lightgbm.train --out build/credit
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from examples.lightgbm.credit import CATEGORIES, NUMBERS, TARGET, credit, features, keys
from examples.lightgbm.export import exported
from examples.training.intervals import over_folds
from examples.training.options import Options, parsed, report
from examples.training.thresholds import best_threshold, imbalanced_figures

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 5
HELD_OUT_SHARE = 0.25
SETTINGS = {
    "n_estimators": 120,
    "learning_rate": 0.05,
    "num_leaves": 8,
    "min_child_samples": 20,
    "colsample_bytree": 0.7,
    "n_jobs": 1,
    "deterministic": True,
    "verbose": -1,
}


@dataclass(frozen=True, slots=True)
class Trained:
    """The trees, what they were trained with, and the threshold over which a client is labelled bad."""

    model: Any
    known: dict[str, list[str]]
    threshold: float
    held_out: pd.DataFrame

    def probabilities(self, clients: pd.DataFrame) -> npt.NDArray[np.float64]:
        """LightGBM's own answer."""
        found: npt.NDArray[np.float64] = self.model.predict_proba(features(clients, self.known))
        return found


def trees(seed: int) -> Any:
    """A classifier that takes NaN as it is, with few leaves against overfitting."""
    from lightgbm import LGBMClassifier

    return LGBMClassifier(**SETTINGS, random_state=seed)


def fitted(clients: pd.DataFrame, known: dict[str, list[str]], seed: int) -> Any:
    """Trees grown on clients; the last columns are categories, split by sets of them."""
    width = len(NUMBERS) + len(CATEGORIES)
    return trees(seed).fit(
        features(clients, known),
        clients[TARGET],
        categorical_feature=list(range(len(NUMBERS), width)),
    )


def trained(options: Options) -> Trained:
    """Train, choose the threshold on folds, measure, and write all that serving and checking take."""
    from sklearn.model_selection import train_test_split

    clients = credit()
    if options.rows is not None:
        clients = clients.sample(options.rows, random_state=options.seed)
    training, held_out = train_test_split(
        clients, test_size=HELD_OUT_SHARE, stratify=clients[TARGET], random_state=options.seed
    )
    known = keys(training)
    scores, by_fold = _out_of_fold(training, known, options.seed)
    threshold = best_threshold(training[TARGET].to_numpy(), scores)
    started = time.monotonic()
    result = Trained(fitted(training, known, options.seed), known, threshold, held_out)
    seconds = time.monotonic() - started
    path = options.out / "model.onnx"
    path.write_bytes(exported(result.model, known, threshold).SerializeToString())
    held_out.to_parquet(options.out / "heldout.parquet", index=False)
    report(
        options.out,
        {
            "rows": len(training),
            "seconds": round(seconds, 2),
            "bytes": path.stat().st_size,
            "threshold": round(threshold, 3),
        },
        validation={"roc_auc": over_folds(by_fold)},
        held_out=imbalanced_figures(
            held_out[TARGET].to_numpy(),
            result.probabilities(held_out)[:, 1],
            threshold,
            seed=options.seed,
        ),
    )
    return result


def _out_of_fold(
    clients: pd.DataFrame, known: dict[str, list[str]], seed: int
) -> tuple[npt.NDArray[np.float64], list[float]]:
    """A score of each client by trees that have not seen it, and ROC AUC of each fold."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    scores, figures = np.zeros(len(clients)), []
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for some, others in folds.split(clients, clients[TARGET]):
        model = fitted(clients.iloc[some], known, seed)
        scores[others] = model.predict_proba(features(clients.iloc[others], known))[:, 1]
        figures.append(float(roc_auc_score(clients[TARGET].iloc[others], scores[others])))
    return scores, figures


def main() -> None:
    """Read the options and train."""
    options = parsed(__doc__)
    trained(options)
    print(f"written to {options.out.resolve()}")


if __name__ == "__main__":
    main()
