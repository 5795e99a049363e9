"""Measures of rankings: how well the scores of a group's rows put the relevant ones first."""

from __future__ import annotations

import numpy as np

from headrace.lifecycle.evaluation.measures.means import MeanMeasure
from headrace.lifecycle.evaluation.measures.measure import Floats, Places


def ranking_measure(relevance: Floats, scores: Floats, groups: Places, at: int = 10) -> MeanMeasure:
    """A measure whose rows are the groups; those without a relevant row have no value, and are left out.

    Rows of equal score are ranked in the order that is worst for the version, and rows without a score
    last: a constant score earns nothing.
    """
    found = [
        _of_group(relevance[places], scores[places], at) for places in places_of_groups(groups)
    ]
    names = (f"ndcg_at_{at}", f"hit_rate_at_{at}", f"recall_at_{at}", "mrr")
    columns = np.array(found).reshape(-1, len(names)).T
    return MeanMeasure(dict(zip(names, columns, strict=True)))


def places_of_groups(groups: Places) -> list[Places]:
    """The rows of each group, by its code."""
    order = np.argsort(groups, kind="stable")
    starts = np.unique(groups[order], return_index=True)[1]
    return list(np.split(order, starts[1:]))


def _of_group(relevance: Floats, scores: Floats, at: int) -> tuple[float, float, float, float]:
    relevant = int((relevance > 0).sum())
    if not relevant:
        return (np.nan,) * 4
    order = np.lexsort((relevance, -np.nan_to_num(scores, nan=-np.inf)))
    ranked = relevance[order]
    hits = int((ranked[:at] > 0).sum())
    first = int(np.argmax(ranked > 0))
    ideal = _gain(np.sort(relevance)[::-1][:at])
    return _gain(ranked[:at]) / ideal, float(hits > 0), hits / relevant, 1 / (first + 1)


def _gain(relevance: Floats) -> float:
    """The discounted gain: relevance by the logarithm of its place, as scikit-learn's."""
    return float((relevance / np.log2(np.arange(2, len(relevance) + 2))).sum())
