"""Networks on English and Chinese text at a reduced size: the served graph takes the text as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.examples.conftest import Serving

pytest.importorskip(
    "torch", reason="what networks are trained with: pip install 'headrace[training]'"
)

from examples.text_chinese.train import reviews
from examples.text_english.train import news
from examples.training.classifying import Classifier, train
from examples.training.options import Options
from examples.training.texts import Texts

ODD = ["", "!?", "THE GAME, the game", "# # 的 好 \n很", "x" * 5000]


@dataclass(frozen=True, slots=True)
class Case:
    """A trained model that is served."""

    name: str
    task: Texts
    trained: Classifier
    serving: Serving
    batch_rows: int


def _served(name: str, task: Texts, options: Options, serving: Serving) -> Case:
    trained = train(task, options)
    version = serving.push(name, trained.path)
    return Case(name, task, trained, serving, version.config.batching.max_batch_size)


MAKERS: dict[str, Callable[[Path, Serving], Case]] = {
    "news": lambda out, serving: _served(
        "news", news(700), Options(out, epochs=12, folds=2), serving
    ),
    "reviews": lambda out, serving: _served(
        "reviews", reviews(2500), Options(out, epochs=6), serving
    ),
}


@pytest.fixture(scope="module", params=MAKERS)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, serving: Serving
) -> Case:
    """Both, one after the other."""
    name: str = request.param
    return MAKERS[name](tmp_path_factory.mktemp(name), serving)


def test_answers_are_those_of_torch(case: Case) -> None:
    """Cut, counted and averaged in the graph, texts get what torch says of their tokens' embeddings."""
    rows = case.trained.rows.test[:100]
    answer = case.serving.client.infer(case.name, case.task.inputs(rows))
    expected = case.trained.probabilities(rows)
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    assert [case.task.classes[best] for best in expected.argmax(1)] == answer["label"].tolist()


def test_a_text_is_classified_over_rest(case: Case) -> None:
    """A caller sends the text and gets the class by its name."""
    row = case.trained.rows.test[:1]
    text = case.task.texts[row[0]]
    answer = case.serving.post(f"/v2/models/{case.name}/generate", {"text": text})
    expected = case.trained.probabilities(row)[0]
    assert case.task.classes[expected.argmax()] == answer["label"]
    assert pytest.approx(expected.tolist(), abs=1e-5) == answer["probabilities"]


def test_rows_of_several_callers_run_together(case: Case) -> None:
    """The registry proves texts independent, though tokens are filled up to the longest of them."""
    texts = np.array([*ODD, *case.task.inputs(case.trained.rows.test[:3])["text"]], object)
    together = case.serving.client.infer(case.name, texts)["probabilities"]
    alone = [case.serving.client.infer(case.name, [text])["probabilities"][0] for text in texts]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert case.batch_rows > 1


def test_it_has_learnt(case: Case) -> None:
    """Far better on texts that it has not seen than always the same class would be."""
    rows = case.trained.rows.test
    labels = case.serving.client.infer(case.name, case.task.inputs(rows))["label"]
    truth = [case.task.classes[label] for label in case.task.labels[rows]]
    accuracy = np.mean([said == true for said, true in zip(labels, truth, strict=True)])
    commonest = max(truth.count(name) for name in case.task.classes) / len(truth)
    assert accuracy > commonest + 0.12
    assert pytest.approx(case.trained.accuracy.value, abs=0.02) == accuracy
