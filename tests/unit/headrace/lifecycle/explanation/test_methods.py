"""Attributions of models whose right ones are known: closed forms, enumeration, axioms."""

from __future__ import annotations

import asyncio
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.lifecycle.explanation import Baseline, Effort, Explanation, Method, explain
from headrace.lifecycle.explanation.asking import Asker
from headrace.lifecycle.explanation.features import features_of
from headrace.lifecycle.explanation.game import Game
from headrace.lifecycle.explanation.maskers import Masks, TensorMasker
from headrace.lifecycle.explanation.methods.shapley import (
    all_masks,
    exact_shapley,
    exact_values,
    sampled_shapley,
)
from headrace.lifecycle.explanation.targets import Target
from tests.unit.headrace.lifecycle.explanation.nets import network, row, session, steps
from tests.unit.headrace.lifecycle.graphs import linear

WEIGHTS = [3.0, -2.0, 0.5, 0.0]


async def of_linear(*methods: str, **more: Any) -> Explanation:
    """The explanation of 3a - 2b + c/2 + 1 at (1, 2, 3, 4) against (0, 1, 1, 1)."""
    predictor = session(linear([[weight] for weight in WEIGHTS], [1.0]))
    baseline = Baseline(row(0, 1, 1, 1), "ones")
    return await explain(predictor, row(1, 2, 3, 4), baseline=baseline, methods=methods, **more)


@pytest.mark.parametrize("method", list(Method))
async def test_every_method_is_right_of_a_linear_model(method: Method) -> None:
    """There, each feature's worth is its weight times its distance from the baseline."""
    found = (await of_linear(method)).attribution(method)
    np.testing.assert_allclose(found.values, [3, -2, 1, 0], atol=2e-3)
    if found.gap is not None:
        assert abs(found.gap) < 2e-3


async def test_background_of_several_rows_is_their_mean() -> None:
    """Of a linear model, many rows stand for their mean."""
    baseline = Baseline({"x": np.array([[0, 0, 0, 0], [0, 2, 2, 2]], np.float32)}, "two rows")
    predictor = session(linear([[weight] for weight in WEIGHTS], [1.0]))
    found = await explain(predictor, row(1, 2, 3, 4), baseline=baseline, methods=["all"])
    assert [str(method) for method in Method] == [str(each.method) for each in found.attributions]
    for each in found.attributions:
        np.testing.assert_allclose(each.values, [3, -2, 1, 0], atol=2e-3)
    assert found.baseline_value == pytest.approx(-0.5)


def by_definition(scores: dict[frozenset[int], float], features: int) -> list[float]:
    """Shapley values, by the sum over all coalitions that textbooks have."""
    found = []
    for one in range(features):
        others = [each for each in range(features) if each != one]
        total = 0.0
        for size in range(features):
            weight = factorial(size) * factorial(features - size - 1) / factorial(features)
            for some in combinations(others, size):
                total += weight * (scores[frozenset({*some, one})] - scores[frozenset(some)])
        found.append(total)
    return found


def game_of(features: int, *, seed: int = 0, graph: bytes | None = None) -> Game:
    """The game of a network at a drawn row, against zeros."""
    draw = np.random.default_rng(seed)
    here = {"x": draw.normal(size=(1, features)).astype(np.float32)}
    masker = TensorMasker(here, {"x": np.zeros_like(here["x"])}, features_of(here))
    return Game(masker, Asker(session(graph or network(features, seed=seed)), Target("y")))


async def test_exact_values_are_those_of_the_definition() -> None:
    """Enumerated over all coalitions of six features of a network."""
    game = game_of(6)
    masks = all_masks(6)
    scores = await game.values(masks)
    table = {
        frozenset(np.flatnonzero(mask).tolist()): score
        for mask, score in zip(masks, scores.tolist(), strict=True)
    }
    found = await exact_shapley(game)
    np.testing.assert_allclose(found.values, by_definition(table, 6), atol=1e-9)
    assert found.exact
    assert abs(found.gap or 0) < 1e-6


async def test_estimates_are_unbiased_and_say_their_error() -> None:
    """Over many seeds, the mean of estimates is the exact value, and errors are as large as they say."""
    game = game_of(7, seed=3)
    exact = np.array((await exact_shapley(game)).values)
    found = [await sampled_shapley(game, pairs=8, seed=seed) for seed in range(60)]
    errors = np.array([each.values for each in found]) - exact
    said = np.array([each.standard_errors for each in found])
    assert np.all(np.abs(errors.mean(axis=0)) < 4 * errors.std(axis=0) / np.sqrt(60) + 1e-9)
    within = float(np.mean(np.abs(errors) <= 3 * said + 1e-6))
    assert within > 0.9, within
    assert all(abs(each.gap or 0) < 1e-6 for each in found)


async def test_integrated_gradients_add_up_for_a_smooth_model() -> None:
    """What finite differences miss is small beside the answers, and said."""
    game = game_of(10, seed=1)
    found = await explain(
        session(network(10, seed=1)),
        {"x": game.masker.rows(np.ones((1, 10), bool))["x"]},
        methods=["integrated-gradients"],
    )
    (one,) = found.attributions
    difference = found.value - found.baseline_value
    assert abs(difference - sum(one.values)) < 0.005 * max(1, abs(difference))
    assert one.gap == pytest.approx(difference - sum(one.values))


async def test_gradients_of_a_model_that_is_constant_in_pieces_are_zero_and_it_is_said() -> None:
    """Trees have no slopes: the caller is told to take another method, which is right."""
    found = await explain(session(steps(3)), row(1, 1, 0.2), methods=["all"])
    flat = found.attribution(Method.INTEGRATED_GRADIENTS)
    assert (0.0, 0.0, 0.0) == flat.values
    assert "constant in pieces" in flat.notes[0]
    assert (1.0, 1.0, 0.0) == found.attribution(Method.SHAPLEY).values
    assert (1.0, 1.0, 0.0) == found.attribution(Method.OCCLUSION).values


async def test_kernel_shap_is_exact_where_it_sees_all_coalitions() -> None:
    """The package's regression over all coalitions of a small model is the enumeration."""
    game = game_of(6, seed=5)
    here = game.masker.rows(np.ones((1, 6), bool))
    found = await explain(session(network(6, seed=5)), here, methods=["shapley", "kernel-shap"])
    exact, kernel = found.attributions
    np.testing.assert_allclose(kernel.values, exact.values, atol=1e-5)
    assert 0 == kernel.rows, "all coalitions were asked already, and no row is asked twice"


async def test_drawing_for_kernel_shap_leaves_numpy_s_generator_alone() -> None:
    """The caller's own draws stay as they would have been."""
    np.random.seed(7)
    expected = np.random.random()
    np.random.seed(7)
    await of_linear("kernel-shap")
    assert expected == np.random.random()


tables = st.lists(st.floats(-10, 10), min_size=16, max_size=16)


@settings(max_examples=50, deadline=None)
@given(tables)
def test_values_add_up(scores: list[float]) -> None:
    """Efficiency: the values of any game sum to what all features gain together."""
    found = exact_values(all_masks(4), np.array(scores))
    assert pytest.approx(scores[-1] - scores[0], abs=1e-9) == found.sum()


@settings(max_examples=50, deadline=None)
@given(tables)
def test_feature_that_changes_nothing_is_worth_nothing(scores: list[float]) -> None:
    """Dummy: the last feature's coalitions have the values of those without it."""
    doubled = np.array([*scores[:8], *scores[:8]])
    assert pytest.approx(0, abs=1e-9) == exact_values(all_masks(4), doubled)[3]


@settings(max_examples=50, deadline=None)
@given(tables)
def test_features_that_do_the_same_are_worth_the_same(scores: list[float]) -> None:
    """Symmetry: the game is made blind to an exchange of the first two features."""
    masks: Masks = all_masks(4)
    exchanged = masks[:, [1, 0, 2, 3]] @ (1 << np.arange(4))
    table = np.array(scores)
    found = exact_values(masks, (table + table[exchanged]) / 2)
    assert pytest.approx(found[0], abs=1e-9) == found[1]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 10))
def test_sampled_values_add_up(seed: int, pairs: int) -> None:
    """Efficiency holds of every estimate, however few orders it saw."""
    found = asyncio.run(sampled_shapley(game_of(5, seed=2), pairs, seed))
    assert pytest.approx(0, abs=1e-6) == found.gap


async def test_a_coalition_is_asked_once() -> None:
    """Methods share what was asked: the cost of all is less than the sum of each."""
    found = await of_linear("all")
    assert found.rows < found.planned.rows
    assert found.rows == 1 + sum(each.rows for each in found.attributions)
    alone = await of_linear("occlusion")
    assert 5 == alone.planned.rows
    assert 7 == alone.rows, "the row twice, four without a feature, and the baseline"


async def test_effort_bounds_what_is_asked() -> None:
    """More than may be asked is refused before it is."""
    told: list[int] = []
    with pytest.raises(Exception, match="may ask 4") as caught:
        await of_linear(
            "occlusion", effort=Effort(max_rows=4), on_cost=lambda c: told.append(c.rows)
        )
    assert "EXPLANATION_TOO_LARGE" == getattr(caught.value, "reason", "")
    assert [5] == told
