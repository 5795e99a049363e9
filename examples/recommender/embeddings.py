"""Embeddings of users and films, by Bayesian personalised ranking: liked above others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from examples.recommender.ratings import Ratings

WIDTH = 32
EPOCHS = 30
BATCH = 2048
LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-1
NEGATIVES = 4
"""Films beside each liked one that the user is not known to like, drawn anew in every step."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """A vector of each user and film, and how much everybody likes a film."""

    users: Floats
    films: Floats
    popularity: Floats

    def scores(self, user: int) -> Floats:
        """Of each film, for the user at a place."""
        scores: Floats = self.films @ self.users[user] + self.popularity
        return scores


def learnt(ratings: Ratings, seed: int, epochs: int = EPOCHS) -> Embeddings:
    """Train on what was liked before the split."""
    torch.set_num_threads(1)
    random = torch.Generator().manual_seed(seed)
    users = (torch.randn(len(ratings.users), WIDTH, generator=random) * 0.1).requires_grad_()
    films = (torch.randn(len(ratings.films), WIDTH, generator=random) * 0.1).requires_grad_()
    counts = np.bincount(ratings.liked[:, 1], minlength=len(ratings.films))
    bias = torch.tensor(np.log1p(counts), dtype=torch.float32).requires_grad_()
    descent = torch.optim.AdamW(
        [
            {"params": [users, films], "weight_decay": WEIGHT_DECAY},
            {"params": [bias], "weight_decay": 0.0},
        ],
        lr=LEARNING_RATE,
    )
    liked = torch.from_numpy(ratings.liked)
    for _ in range(epochs):
        for some in torch.randperm(len(liked), generator=random).split(BATCH):
            user, film = liked[some].unbind(1)
            other = torch.randint(len(films), (len(some), NEGATIVES), generator=random)
            better = (users[user] * films[film]).sum(1) + bias[film]
            worse = (users[user][:, None] * films[other]).sum(2) + bias[other]
            loss = -torch.nn.functional.logsigmoid(better[:, None] - worse).mean()
            descent.zero_grad()
            loss.backward()
            descent.step()
    made = (each.detach().numpy() for each in (users, films, bias))
    return Embeddings(*made)


def popular(ratings: Ratings) -> Embeddings:
    """The same films for everybody, the most liked first: what a recommender has to be better than."""
    counts = np.bincount(ratings.liked[:, 1], minlength=len(ratings.films)).astype(np.float32)
    nothing = np.zeros((len(ratings.users), 1), np.float32)
    return Embeddings(nothing, np.zeros((len(ratings.films), 1), np.float32), counts)
