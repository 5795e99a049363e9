"""Verdicts of gates: what was measured, what is missing, other data, slices and intervals."""

from __future__ import annotations

import pytest

from headrace.gates import Reference, comparison, judge
from headrace.state.annotation_records import Metric
from headrace.state.gate_records import GateRecord

_A, _B = "a" * 64, "b" * 64
_METRICS = (
    Metric("accuracy", 0.90, data_digest=_A, data_name="a.csv", measured_at=1.0),
    Metric("accuracy", 0.97, "", _B, "b.csv", 0.95, 0.98, 0.95, 1000, 2.0),
    Metric("accuracy", 0.80, "region=eu", _B, "b.csv", measured_at=2.0),
    Metric("f1.fraud", 0.7, data_digest=_B, measured_at=2.0),
    Metric("log_loss", 0.2, data_digest=_B, measured_at=2.0),
)


def _held(rule: str, data_digest: str = "") -> bool:
    return judge(GateRecord((rule,), data_digest=data_digest), _METRICS, {}).passed


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("accuracy >= 0.95", True),
        ("metrics.accuracy >= 0.95", True),
        ("accuracy.lower >= 0.95", True),
        ("accuracy.lower > 0.95", False),
        ("accuracy.upper < 0.99 and accuracy.rows = 1000", True),
        ("accuracy{region=eu} > 0.9", False),
        ("accuracy{region=us} > 0.1", False),
        ("accuracy[a.csv] > 0.95", False),
        (f"accuracy[{_B[:8]}] > 0.95", True),
        ("accuracy[bbb] > 0.95", False),
        ("f1.fraud >= 0.7", True),
        ("f1.fraud.lower > 0", False),
        ("recall > 0", False),
        ("not recall > 0", False),
        ("recall > 0 or accuracy > 0.9", True),
        ("not (recall > 0 and accuracy > 1)", True),
        ("recall:*", False),
        ("accuracy:*", True),
    ],
)
def test_conditions_of_metrics(rule: str, expected: bool) -> None:
    """The newest value counts, and what depends on a metric that was not measured does not hold."""
    assert expected == _held(rule)


def test_only_some_data_may_count() -> None:
    """A gate can say by the digest which data its metrics have to be of."""
    assert (False, True) == (
        _held("accuracy > 0.95", _A),
        judge(GateRecord(("accuracy = 0.9",), data_digest=_A), _METRICS, {}).passed,
    )


@pytest.mark.parametrize(
    ("rule", "theirs", "expected"),
    [
        ("accuracy:0.01", Metric("accuracy", 0.98, data_digest=_B), True),
        ("accuracy:0.01", Metric("accuracy", 0.981, data_digest=_B), False),
        ("accuracy", Metric("accuracy", 0.96, data_digest=_B), True),
        ("accuracy", Metric("accuracy", 0.89, data_digest=_A), True),
        ("accuracy", Metric("accuracy", 0.91, data_digest=_A), False),
        ("accuracy", Metric("accuracy", 0.1), False),
        ("accuracy", Metric("f1", 0.1, data_digest=_B), False),
        ("accuracy{region=eu}", Metric("accuracy", 0.1, data_digest=_B), False),
        ("log_loss:0.05", Metric("log_loss", 0.15, data_digest=_B), True),
        ("log_loss:0.05", Metric("log_loss", 0.14, data_digest=_B), False),
        ("log_loss", Metric("log_loss", 0.3, data_digest=_B), True),
        ("recall", Metric("recall", 0.3, data_digest=_B), False),
    ],
)
def test_comparisons_are_of_the_same_data(rule: str, theirs: Metric, expected: bool) -> None:
    """A version is compared on data that both were measured on, in the better direction, by the margin."""
    gate = GateRecord(no_worse_than=(comparison(rule),))
    verdict = judge(gate, _METRICS, {"": Reference("version 3", (theirs,))})
    assert expected == verdict.passed


def test_with_nobody_to_compare_a_comparison_holds() -> None:
    """A model's first version is no worse than none."""
    gate = GateRecord(no_worse_than=(comparison("accuracy@prod"),))
    assert judge(gate, (), {"prod": None}).passed
    assert judge(GateRecord(), (), {}).passed


def test_a_verdict_says_for_each_rule_why() -> None:
    """People read the value with its interval and data, what was wanted, and what is missing."""
    rules = ("accuracy >= 0.95", "f1.fraud > 0.8", "recall > 0.5")
    gate = GateRecord(rules, (comparison("accuracy:0.001@prod"), comparison("accuracy")))
    references = {
        "prod": Reference("version 2", (Metric("accuracy", 0.99, "", _B, "b.csv"),)),
        "": Reference("version 1", (Metric("accuracy", 0.99, "", "c" * 64, "c.csv"),)),
    }
    assert [
        "accuracy >= 0.95: holds (accuracy is 0.97 (0.95 to 0.98) on b.csv [bbbbbbbbbbbb])",
        "f1.fraud > 0.8: f1.fraud is 0.7 on bbbbbbbbbbbb",
        "recall > 0.5: recall was not measured",
        (
            "no worse in accuracy:0.001@prod: accuracy is 0.97 (0.95 to 0.98) on b.csv [bbbbbbbbbbbb], "
            "of version 2 0.99 on b.csv [bbbbbbbbbbbb]: worse by 0.02, 0.001 is allowed"
        ),
        (
            "no worse in accuracy: accuracy was measured on other data: on b.csv [bbbbbbbbbbbb], "
            "of version 1 on c.csv [cccccccccccc]"
        ),
    ] == list(judge(gate, _METRICS, references).lines())
