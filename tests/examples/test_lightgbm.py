"""Trees on credit risk: what is missing, unknown or a category takes the branch that LightGBM takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from examples.lightgbm.credit import NUMBERS, TARGET
from examples.lightgbm.train import Trained, trained
from examples.training.options import Options
from tests.examples.conftest import Serving

MODEL = "credit-trees"


@pytest.fixture(scope="module")
def credit(tmp_path_factory: pytest.TempPathFactory, serving: Serving) -> Trained:
    """LightGBM's own model, of which the export is served."""
    out: Path = tmp_path_factory.mktemp("credit")
    model = trained(Options(out, rows=2_000))
    serving.push(MODEL, out / "model.onnx")
    return model


@pytest.mark.parametrize(
    "changed",
    [{}, {"Job": ""}, {"Home": "castle"}, {"Income": np.float32(np.nan)}],
    ids=["as it is", "missing text", "unknown text", "missing number"],
)
def test_answers_are_those_of_lightgbm(
    credit: Trained, serving: Serving, changed: dict[str, object]
) -> None:
    """Probabilities are equal within rounding, and labels follow the chosen threshold."""
    clients = credit.held_out.assign(**changed)
    expected = credit.probabilities(clients)
    answer = serving.client.infer(MODEL, clients)
    np.testing.assert_allclose(answer["probabilities"], expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(answer["label"], expected[:, 1] > credit.threshold)


def test_a_client_is_judged_over_rest(credit: Trained, serving: Serving) -> None:
    """Answers by name; a number that is missing is the string NaN in JSON."""
    client = credit.held_out.head(1).assign(Assets=np.float32(np.nan))
    row = {
        name: (float(value) if name in NUMBERS else value)
        for name, value in client.drop(columns=TARGET).iloc[0].items()
    }
    answer = serving.post(f"/v2/models/{MODEL}/generate", {**row, "Assets": "NaN"})
    assert answer["probabilities"] == pytest.approx(credit.probabilities(client)[0], abs=1e-5)


def test_it_finds_those_who_do_not_pay(credit: Trained, serving: Serving) -> None:
    """The rare class is found far better than by chance, though accuracy hardly shows it."""
    scores = serving.client.infer(MODEL, credit.held_out)["probabilities"][:, 1]
    truth = credit.held_out[TARGET]
    assert average_precision_score(truth, scores) > truth.mean() + 0.2
