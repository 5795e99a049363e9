"""The pipeline on census answers: served as trained, by a table and by named columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from examples.sklearn_pipeline.census import NUMBER, TARGET, sample
from examples.sklearn_pipeline.train import trained
from examples.training.options import Options
from tests.examples.conftest import Serving

MODEL = "census-pipeline"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the script writes."""
    return tmp_path_factory.mktemp("census")


@pytest.fixture(scope="module")
def model(out: Path, serving: Serving) -> Any:
    """scikit-learn's own pipeline, of which the export is served."""
    pipeline = trained(sample(), Options(out))
    serving.push(MODEL, out / "model.onnx")
    return pipeline


def held_out(out: Path) -> pd.DataFrame:
    """People whom the pipeline has not seen."""
    return pd.read_parquet(out / "heldout.parquet")


def test_a_table_is_answered_as_by_scikit_learn(model: Any, out: Path, serving: Serving) -> None:
    """Each column of a DataFrame goes to the input of its name, a missing age among them."""
    people = held_out(out)
    people.loc[people.index[0], NUMBER] = np.nan
    answer = serving.client.infer(MODEL, people)
    np.testing.assert_array_equal(answer["output_label"], model.predict(people))
    np.testing.assert_allclose(
        answer["output_probability"], model.predict_proba(people), rtol=0, atol=1e-5
    )


def test_named_columns_are_answered_over_rest(model: Any, out: Path, serving: Serving) -> None:
    """One person as an object of JSON; a code that training never had is none of the known ones."""
    person = held_out(out).drop(columns=TARGET).head(1).assign(RELP="99")
    answer = serving.post(
        f"/v2/models/{MODEL}/generate", person.astype({NUMBER: float}).iloc[0].to_dict()
    )
    assert int(model.predict(person)[0]) == answer["output_label"]
    assert answer["output_probability"] == pytest.approx(model.predict_proba(person)[0], abs=1e-5)


def test_it_is_better_than_the_commoner_answer(out: Path, serving: Serving, model: Any) -> None:
    """Served answers about people whom it has not seen are right more often than not by far."""
    people = held_out(out)
    right = serving.client.infer(MODEL, people)["output_label"] == people[TARGET]
    assert right.mean() > 0.77
