"""Shapley values: the mean gain of a feature over all orders in which features can come in."""

from __future__ import annotations

from math import factorial

import numpy as np
import numpy.typing as npt

from headrace.lifecycle.explanation.agreement import rank_correlation
from headrace.lifecycle.explanation.asking import Scores
from headrace.lifecycle.explanation.attributions import Attribution, Method, counting
from headrace.lifecycle.explanation.game import Game
from headrace.lifecycle.explanation.maskers import Masks

EXACT_FEATURES = 12
"""Of so many features all coalitions are asked: 4,096."""
PAIRS = 16
"""Pairs of orders that are drawn where there are more features, if nothing else is said."""
MIN_PAIRS = 2


def shapley_rows(features: int, backgrounds: int, pairs: int = PAIRS) -> int:
    """The rows that it asks at most."""
    if features <= EXACT_FEATURES:
        return (1 << features) * backgrounds
    return (2 * pairs * (features - 1) + 2) * backgrounds


async def shapley(game: Game, pairs: int = PAIRS, seed: int = 0) -> Attribution:
    """Exact up to EXACT_FEATURES features, else estimated. Raises as Game.values does."""
    if game.features <= EXACT_FEATURES:
        return await exact_shapley(game)
    return await sampled_shapley(game, pairs, seed)


async def exact_shapley(game: Game) -> Attribution:
    """Shapley values from the values of all coalitions."""
    with counting(game.asker) as cost:
        masks = all_masks(game.features)
        scores = await game.values(masks)
    values = exact_values(masks, scores)
    gap = float(scores[-1] - scores[0] - values.sum())
    return Attribution(
        Method.SHAPLEY,
        tuple(values.tolist()),
        gap=gap,
        rows=cost.rows,
        requests=cost.requests,
        exact=True,
    )


def all_masks(features: int) -> Masks:
    """All coalitions, ordered as binary numbers whose lowest bit is the first feature."""
    numbers = np.arange(2**features)[:, None]
    return (numbers >> np.arange(features) & 1).astype(bool)


def exact_values(masks: Masks, scores: Scores) -> Scores:
    """Shapley values of a game whose coalitions are ordered as `all_masks` orders them."""
    count = masks.shape[1]
    sizes = masks.sum(axis=1)
    weights = np.array(
        [factorial(size) * factorial(count - size - 1) / factorial(count) for size in range(count)]
    )
    numbers = np.arange(len(masks))
    values = np.empty(count)
    for feature in range(count):
        without = numbers[~masks[:, feature]]
        gains = scores[without | 1 << feature] - scores[without]
        values[feature] = np.dot(weights[sizes[without]], gains)
    return values


async def sampled_shapley(game: Game, pairs: int = PAIRS, seed: int = 0) -> Attribution:
    """An unbiased estimate over random orders, each of them taken forwards and backwards.

    Each order's gains add up to the answer less the baseline's, and so does their mean: there is no gap.
    The standard errors are those of the mean over pairs.
    """
    pairs = max(pairs, MIN_PAIRS)
    generator = np.random.default_rng(seed)
    orders = [order for _ in range(pairs) for order in _both_ways(generator, game.features)]
    with counting(game.asker) as cost:
        masks = np.vstack([_prefixes(order) for order in orders])
        scores = (await game.values(masks)).reshape(len(orders), game.features + 1)
    gains = np.empty((len(orders), game.features))
    for place, order in enumerate(orders):
        gains[place, order] = np.diff(scores[place])
    means = gains.reshape(pairs, 2, game.features).mean(axis=1)
    return Attribution(
        Method.SHAPLEY,
        tuple(means.mean(axis=0).tolist()),
        tuple((means.std(axis=0, ddof=1) / np.sqrt(pairs)).tolist()),
        gap=float(scores[0, -1] - scores[0, 0] - means.mean(axis=0).sum()),
        stability=rank_correlation(means[::2].mean(axis=0), means[1::2].mean(axis=0)),
        rows=cost.rows,
        requests=cost.requests,
        notes=(f"an estimate over {pairs} random orders, each in both directions",),
    )


def _both_ways(
    generator: np.random.Generator, features: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    order = generator.permutation(features)
    return order, order[::-1]


def _prefixes(order: npt.NDArray[np.intp]) -> Masks:
    """The coalitions on the way from none to all, as features come in."""
    ranks = np.empty(len(order), np.intp)
    ranks[order] = np.arange(len(order))
    return ranks[None, :] < np.arange(len(order) + 1)[:, None]
