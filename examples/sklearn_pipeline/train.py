"""Trains a scikit-learn pipeline on census answers and exports it, with an input for each column.

    python -m examples.sklearn_pipeline.train --out build/census

`--sample` takes the people in this folder and downloads nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx

from examples.sklearn_pipeline.census import NUMBER, TARGET, YEAR, census, codes, sample
from examples.training.intervals import Figure, bootstrapped
from examples.training.options import Options, parsed, report

if TYPE_CHECKING:
    import pandas as pd

Columns = Mapping[str, npt.NDArray[Any]]
FIRST_YEAR = 2015
HELD_OUT_SHARE = 0.25
FOLDS = 5
FIGURES = ("accuracy", "roc_auc", "average_precision", "log_loss")
AGES = 24
"""Bins of the age: work does not grow with it in a straight line."""


def pipeline(columns: list[str]) -> Any:
    """Imputing, encoding, scaling and a logistic regression, as one estimator of a table."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler

    bins = KBinsDiscretizer(AGES, encode="onehot-dense", quantile_method="averaged_inverted_cdf")
    return make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), columns),
            (make_pipeline(SimpleImputer(strategy="median"), bins), [NUMBER]),
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), [NUMBER]),
        ),
        LogisticRegression(max_iter=300),
    )


def exported(model: Any, columns: list[str]) -> onnx.ModelProto:
    """The pipeline as ONNX: texts for codes, FP32 for the number, a free number of rows."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    kinds: list[tuple[str, Any]] = [(name, StringTensorType([None, 1])) for name in columns]
    graph: onnx.ModelProto = to_onnx(
        model, initial_types=[*kinds, (NUMBER, FloatTensorType([None, 1]))]
    )
    return graph


def trained(people: pd.DataFrame, options: Options) -> Any:
    """Train on people of the first year, measure, and write all that serving and checking take."""
    from sklearn.model_selection import train_test_split

    columns = codes(people)
    first = people[people[YEAR] == FIRST_YEAR]
    if options.rows is not None:
        first = first.sample(min(options.rows, len(first)), random_state=options.seed)
    training, held_out = train_test_split(
        first, test_size=HELD_OUT_SHARE, stratify=first[TARGET], random_state=options.seed
    )
    started = time.monotonic()
    model = pipeline(columns).fit(training, training[TARGET])
    seconds = time.monotonic() - started
    path = options.out / "model.onnx"
    path.write_bytes(exported(model, columns).SerializeToString())
    held_out.drop(columns=YEAR).to_parquet(options.out / "heldout.parquet", index=False)
    truth, scores = held_out[TARGET].to_numpy(), model.predict_proba(held_out)[:, 1]
    report(
        options.out,
        {"rows": len(training), "seconds": round(seconds, 2), "bytes": path.stat().st_size},
        validation=validated(training, options.seed),
        held_out={
            "accuracy": bootstrapped(_accuracy, truth, scores, seed=options.seed),
            "roc_auc": bootstrapped(_roc_auc, truth, scores, seed=options.seed),
        },
    )
    return model


def validated(people: pd.DataFrame, seed: int) -> dict[str, Figure]:
    """Figures of people whom each fold's pipeline has not seen."""
    import pandas as pd

    from headrace.lifecycle.evaluation import cross_validated

    def fit(columns: Columns) -> Callable[[Columns], Columns]:
        some = pd.DataFrame(columns)
        model = pipeline(codes(some)).fit(some, some[TARGET])
        return lambda others: {"probabilities": model.predict_proba(pd.DataFrame(others))}

    rows = {name: people[name].to_numpy() for name in people.columns}
    found = cross_validated(
        fit, rows, TARGET, splits=FOLDS, ignored=[YEAR], output="probabilities", seed=seed
    )
    print(*found.lines(*FIGURES), sep="\n")
    metrics = [each for each in found.metrics if each.name in FIGURES]
    return {
        each.name: Figure(each.value, each.lower or each.value, each.upper or each.value)
        for each in metrics
    }


def _accuracy(truth: Any, scores: Any) -> float:
    return float(np.mean(truth == (scores > 0.5)))


def _roc_auc(truth: Any, scores: Any) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, scores))


def main() -> None:
    """Read the options, take the data, train."""
    options = parsed(__doc__, sample=True)
    trained(sample() if options.sample else census(), options)
    print(f"written to {Path(options.out).resolve()}")


if __name__ == "__main__":
    main()
