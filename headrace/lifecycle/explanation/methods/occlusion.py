"""Occlusion and its counterpart: one feature is taken away, or is the only one that is there."""

from __future__ import annotations

import numpy as np

from headrace.lifecycle.explanation.attributions import Attribution, Method, counting
from headrace.lifecycle.explanation.game import Game


def occlusion_rows(features: int, backgrounds: int) -> int:
    """The rows that it asks at most."""
    return (features + 1) * backgrounds


async def occlusion(game: Game) -> Attribution:
    """The answer, less that without the feature. What two features do together counts for both."""
    with counting(game.asker) as cost:
        masks = np.vstack([np.ones((1, game.features), bool), ~np.eye(game.features, dtype=bool)])
        whole, *without = (await game.values(masks)).tolist()
    values = tuple(whole - each for each in without)
    return Attribution(Method.OCCLUSION, values, rows=cost.rows, requests=cost.requests)


async def leave_one_in(game: Game) -> Attribution:
    """The answer to the baseline with the feature of the row, less that to the baseline."""
    with counting(game.asker) as cost:
        masks = np.vstack([np.zeros((1, game.features), bool), np.eye(game.features, dtype=bool)])
        nothing, *alone = (await game.values(masks)).tolist()
    values = tuple(each - nothing for each in alone)
    return Attribution(Method.LEAVE_ONE_IN, values, rows=cost.rows, requests=cost.requests)
