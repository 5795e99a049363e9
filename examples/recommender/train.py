"""Trains a recommender of films on the older ratings of each user, and exports it with the ranking.

python -m examples.recommender.train --out build/films
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import numpy as np

from examples.recommender.embeddings import Embeddings, learnt, popular
from examples.recommender.export import exported
from examples.recommender.ranking import Rankings, ranked
from examples.recommender.ratings import Ratings, ratings
from examples.training.intervals import Figure, bootstrapped, over_folds
from examples.training.options import Options, parsed, report

SEEDS = 3
"""Trained so often, from other beginnings: rankings by time cannot be folded, and chance still plays."""


@dataclass(frozen=True, slots=True)
class Trained:
    """The embeddings and the ratings that they are of."""

    ratings: Ratings
    embeddings: Embeddings

    def seen_by(self, user: int) -> list[int]:
        """The ids of the films that the user at a place had rated."""
        mine = self.ratings.seen[self.ratings.seen[:, 0] == user, 1]
        return [self.ratings.films[place] for place in mine]


def run(found: Ratings, options: Options, *, seeds: int = SEEDS) -> Trained:
    """Train, measure against what is popular, and write all that serving and checking take."""
    started = time.monotonic()
    model = Trained(found, learnt(found, options.seed))
    seconds = time.monotonic() - started
    path = options.out / "model.onnx"
    path.write_bytes(exported(found, model.embeddings).SerializeToString())
    _write_later(found, options)
    others = [learnt(found, options.seed + number) for number in range(1, seeds)]
    again = [ranked(found, each.scores) for each in (model.embeddings, *others)]
    means = [float(each.ndcg.mean()) for each in again]
    over_seeds = {f"ndcg@10 of {seeds} seeds": over_folds(means)} if others else {}
    report(
        options.out,
        {
            "users": len(found.users),
            "films": len(found.films),
            "likes to train": len(found.liked),
            "likes to find": len(found.liked_later),
            "likes of new films": found.new_films,
            "seconds": round(seconds, 2),
            "bytes": path.stat().st_size,
        },
        held_out=figures(again[0], ranked(found, popular(found).scores), options.seed) | over_seeds,
    )
    return model


def figures(model: Rankings, baseline: Rankings, seed: int) -> dict[str, Figure]:
    """The means over users, with intervals, and by how much they are better for the same users."""
    values = {
        "ndcg@10": model.ndcg,
        "hit rate@10": model.hits,
        "popular: ndcg@10": baseline.ndcg,
        "popular: hit rate@10": baseline.hits,
        "gain in ndcg@10": model.ndcg - baseline.ndcg,
    }
    return {name: bootstrapped(np.mean, value, seed=seed) for name, value in values.items()}


def _write_later(found: Ratings, options: Options) -> None:
    """What each user liked later, a line each, for whoever evaluates the served version."""
    lines = []
    for user in np.unique(found.liked_later[:, 0]):
        seen = found.seen[found.seen[:, 0] == user, 1]
        later = found.liked_later[found.liked_later[:, 0] == user, 1]
        row = {
            "user": found.users[user],
            "seen": [found.films[each] for each in seen] or [-1],
            "liked": [found.films[each] for each in later],
        }
        lines.append(json.dumps(row))
    (options.out / "heldout.jsonl").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Read the options and train; `--rows` is of users."""
    options = parsed(__doc__)
    run(ratings(options.rows), options)
    print(f"written to {options.out.resolve()}")


if __name__ == "__main__":
    main()
