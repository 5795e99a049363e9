"""Tells why a model answers as it does, by asking it about rows without some features. Knows no client."""

from headrace.lifecycle.explanation.agreement import Agreement, agreements
from headrace.lifecycle.explanation.attributions import Attribution, Method
from headrace.lifecycle.explanation.baselines import (
    Baseline,
    mean_of,
    named_baseline,
    sample_of,
    typical,
    zeros,
)
from headrace.lifecycle.explanation.explaining import ALL, explain
from headrace.lifecycle.explanation.explaining_samples import explain_sample
from headrace.lifecycle.explanation.explanation import Explanation, PlannedCost
from headrace.lifecycle.explanation.features import Feature, features_of
from headrace.lifecycle.explanation.image_features import (
    ImageGrid,
    blurred,
    image_grid,
    image_mean,
)
from headrace.lifecycle.explanation.planning import Effort
from headrace.lifecycle.explanation.report_files import report_files
from headrace.lifecycle.explanation.sample_explanation import (
    Curve,
    Importance,
    SampleExplanation,
)
from headrace.lifecycle.explanation.targets import Target, choose_target

__all__ = [
    "ALL",
    "Agreement",
    "Attribution",
    "Baseline",
    "Curve",
    "Effort",
    "Explanation",
    "Feature",
    "ImageGrid",
    "Importance",
    "Method",
    "PlannedCost",
    "SampleExplanation",
    "Target",
    "agreements",
    "blurred",
    "choose_target",
    "explain",
    "explain_sample",
    "features_of",
    "image_grid",
    "image_mean",
    "mean_of",
    "named_baseline",
    "report_files",
    "sample_of",
    "typical",
    "zeros",
]
