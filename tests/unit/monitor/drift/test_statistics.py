"""The statistics of drift: intervals cover, bets gain nothing on nothing, distances are right."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from headrace_monitor.domain.drift.effect_sizes import effects_of
from headrace_monitor.domain.drift.evidence import CHANGES
from headrace_monitor.domain.drift.proportion_bounds import divergence, upper_bound
from tests.unit.monitor.drift.samples import Rows


@pytest.mark.parametrize("share", [0.0, 0.001, 0.0625, 0.5, 0.97])
def test_a_bound_is_passed_as_seldom_as_it_says(share: float) -> None:
    """A bound for e^-3 lies below the truth in fewer than e^-3 of samples."""
    random = np.random.default_rng(6)
    hits = random.binomial(1000, share, 20_000).astype(float)
    bounds = upper_bound(hits, np.full_like(hits, 1000.0), 3.0)
    assert (bounds < share).mean() <= np.exp(-3.0)


def test_a_bound_is_no_wider_than_it_has_to_be() -> None:
    """It is near the exact one of Clopper and Pearson."""
    ours = float(upper_bound(np.array([5000.0]), np.array([10_000.0]), np.log(1e6))[0])
    exact = float(scipy.stats.beta.ppf(1 - 1e-6, 5001, 5000))
    assert exact < ours < exact + 0.005


def test_no_rows_bound_nothing() -> None:
    """A reference without rows leaves every share possible."""
    assert [1.0] == upper_bound(np.zeros(1), np.zeros(1), 3.0).tolist()


def test_a_bet_gains_nothing_where_the_share_is_within_its_bound() -> None:
    """The mean factor of a row is at most 1 at the bound, where it is largest."""
    bets = Rows(7, fields=1).panel().bets
    inside = bets.bounds < 1
    factor = bets.bounds * np.exp(bets.of_hit) + (1 - bets.bounds) * np.exp(bets.of_miss)
    assert len(CHANGES) == len(factor)
    assert factor[:, inside].max() <= 1 + 1e-9


def test_alarms_on_nothing_are_rarer_than_alpha() -> None:
    """Over many days of one field with an alpha of 1, fewer than one alarm a day."""
    rows = Rows(8, fields=2)
    panel = rows.panel()
    enough = panel.bets.threshold + np.log(0.01)
    minutes = np.array([rows.minute() for _ in range(400)])
    order = np.random.default_rng(9).integers(0, 400, 4000)
    alarms = 0
    wealth = panel.bets.start()
    for place in order:
        wealth = panel.bets.play(wealth, minutes[place])
        alarms += bool((wealth >= enough).any())
    assert alarms <= 4000 / 1440


def test_effects_are_those_of_scipy() -> None:
    """Jensen-Shannon, Wasserstein and KS agree with an implementation of others."""
    random = np.random.default_rng(10)
    values = np.arange(40.0)
    reference, rows = random.integers(1, 90, 40), random.integers(1, 90, 40)
    ours = effects_of(reference, rows, values)
    p, q = reference / reference.sum(), rows / rows.sum()
    sigma = np.sqrt((p * (values - (p * values).sum()) ** 2).sum())
    theirs = scipy.stats.wasserstein_distance(values, values, p, q) / sigma
    js = (scipy.stats.entropy(p, (p + q) / 2, 2) + scipy.stats.entropy(q, (p + q) / 2, 2)) / 2
    assert ours.wasserstein == pytest.approx(theirs)
    assert ours.jensen_shannon == pytest.approx(np.sqrt(js))
    assert ours.ks == pytest.approx(np.abs(np.cumsum(p) - np.cumsum(q)).max())


def test_equal_shares_have_no_effect() -> None:
    """Ten times as many rows in the same shares are no change."""
    counts = np.array([5, 0, 20, 75])
    effects = effects_of(counts, counts * 10, np.arange(4.0))
    assert [0.0, 0.0, 0.0] == [effects.jensen_shannon, effects.ks, effects.wasserstein]
    assert effects.psi == pytest.approx(0, abs=0.01)


def test_divergence_is_that_of_two_coins() -> None:
    """Also at the ends, where a logarithm would not be finite."""
    shares, others = np.array([0.0, 0.5, 1.0]), np.array([0.5, 0.25, 0.5])
    expected = [np.log(2), 0.5 * np.log(2) + 0.5 * np.log(2 / 3), np.log(2)]
    assert divergence(shares, others).tolist() == pytest.approx(expected)
