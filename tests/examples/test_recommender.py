"""The recommender: the ranking is in the graph, and names films that the user has not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.recommender.ranking import TOP, ranked
from examples.recommender.ratings import ratings
from examples.recommender.train import Trained, run
from examples.training.options import Options
from tests.examples.conftest import Serving

MODEL = "films"
USERS = 150
STRANGER = 99_999


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, serving: Serving) -> Trained:
    """torch's own embeddings, of which the export is served."""
    out: Path = tmp_path_factory.mktemp("films")
    found = run(ratings(USERS), Options(out), seeds=1)
    serving.push(MODEL, out / "model.onnx")
    return found


def test_each_user_gets_the_best_of_what_is_not_seen(model: Trained, serving: Serving) -> None:
    """Ids, titles and scores are those of the embeddings, without what was rated before."""
    for place in range(0, USERS, 10):
        seen = model.seen_by(place)
        answer = serving.client.infer(
            MODEL, {"user": [[model.ratings.users[place]]], "seen": [seen or [-1]]}
        )
        scores = model.embeddings.scores(place).copy()
        scores[np.isin(model.ratings.films, seen)] = -np.inf
        best = np.argsort(-scores)[:TOP]
        np.testing.assert_allclose(answer["score"][0], scores[best], rtol=1e-4, atol=1e-5)
        assert not set(answer["item"][0].tolist()) & set(seen)
        titles = dict(zip(model.ratings.films, model.ratings.titles, strict=True))
        assert [titles[item] for item in answer["item"][0].tolist()] == answer["title"][0].tolist()


def test_a_stranger_gets_what_most_like(model: Trained, serving: Serving) -> None:
    """A user without ratings is no error: the bias of films alone ranks them."""
    answer = serving.post(f"/v2/models/{MODEL}/generate", {"user": STRANGER, "seen": [-1]})
    best = np.argsort(-model.embeddings.popularity)[:TOP]
    assert answer["score"] == pytest.approx(model.embeddings.popularity[best], abs=1e-4)


def test_films_are_found_that_are_liked_later(model: Trained, serving: Serving) -> None:
    """Served rankings hit far more often than chance would: ten of two thousand films."""
    found = model.ratings

    def served(user: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        answer = serving.client.infer(
            MODEL, {"user": [[found.users[user]]], "seen": [model.seen_by(user) or [-1]]}
        )
        scores = np.full(len(found.films), -1e8, np.float32)
        scores[np.searchsorted(found.films, answer["item"][0])] = answer["score"][0]
        return scores

    assert ranked(found, served).hits.mean() > 0.2
