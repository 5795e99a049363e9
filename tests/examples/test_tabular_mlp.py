"""The network on late flights: the served graph answers as torch does, NaN and unknown texts too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from examples.tabular_mlp.flights import DAY, MONTH, NUMBERS, TARGET, flights
from examples.tabular_mlp.train import Trained, run
from examples.training.options import Options
from tests.examples.conftest import Serving

MODEL = "late-flights"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the script writes."""
    return tmp_path_factory.mktemp("flights")


@pytest.fixture(scope="module")
def model(out: Path, serving: Serving) -> Trained:
    """torch's own network, of which the export is served."""
    found = run(flights((1,)), Options(out, rows=8_000), folds=False)
    serving.push(MODEL, out / "model.onnx")
    return found


@pytest.fixture(scope="module")
def held_out(model: Trained, out: Path) -> pd.DataFrame:
    """Flights of days that training has not seen."""
    del model
    return pd.read_parquet(out / "heldout.parquet")


def test_answers_are_those_of_torch(
    model: Trained, held_out: pd.DataFrame, serving: Serving
) -> None:
    """With numbers that are missing, and a carrier that training had not."""
    rows = held_out.copy()
    rows.loc[rows.index[:5], list(NUMBERS)] = np.nan
    rows.loc[rows.index[5:9], "carrier"] = "Concorde"
    answer = serving.client.infer(MODEL, rows)
    expected = model.probabilities(rows)
    np.testing.assert_allclose(answer["probabilities"][:, 1], expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(answer["probabilities"].sum(axis=1), 1, atol=1e-6)
    same = answer["label"] == (expected > model.threshold)
    assert same[np.abs(expected - model.threshold) > 1e-5].all()


def test_a_flight_is_answered_over_rest(
    model: Trained, held_out: pd.DataFrame, serving: Serving
) -> None:
    """Columns by name; gusts that nobody measured are the string NaN."""
    flight = held_out.head(1).assign(wind_gust=np.float32(np.nan))
    row = {
        name: ("NaN" if value != value else float(value)) if name in NUMBERS else value
        for name, value in flight.drop(columns=TARGET).iloc[0].items()
    }
    answer = serving.post(f"/v2/models/{MODEL}/generate", row)
    assert answer["probabilities"][1] == pytest.approx(model.probabilities(flight)[0], abs=1e-5)


def test_late_flights_get_higher_scores(held_out: pd.DataFrame, serving: Serving) -> None:
    """The rare class is found better than by chance, on days that training has not seen."""
    scores = serving.client.infer(MODEL, held_out)["probabilities"][:, 1]
    truth = held_out[TARGET]
    assert average_precision_score(truth, scores) > 1.3 * truth.mean()


def test_no_column_tells_the_month_or_the_day(held_out: pd.DataFrame) -> None:
    """What splits the rows is no input."""
    assert not {MONTH, DAY} & set(held_out.columns)
