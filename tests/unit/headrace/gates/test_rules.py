"""Rules of gates as texts: what they mean, and what is refused."""

from __future__ import annotations

import pytest

from headrace import errors
from headrace.gates import check_gate, comparison, is_smaller_better, written_comparison
from headrace.state.gate_records import GateComparison, GateRecord


@pytest.mark.parametrize(
    ("metric", "smaller"),
    [
        ("accuracy", False),
        ("f1.macro", False),
        ("log_loss", True),
        ("mse", True),
        ("latency.p99_ms", True),
        ("size_bytes", True),
        ("energy_joules{gpu=1}", True),
        ("metrics.mae", True),
        ("rows_per_second", False),
        ("error_reduction", False),
        ("ndcg.10", False),
        ("accuracy{error=1}", False),
        ("brier_score", True),
    ],
)
def test_names_tell_the_better_direction(metric: str, smaller: bool) -> None:
    """Of losses, errors, times and sizes smaller is better, and of all else larger."""
    assert smaller == is_smaller_better(metric)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accuracy", GateComparison("accuracy")),
        ("accuracy:0.01", GateComparison("accuracy", "", 0.01)),
        ("mse:1e-3@stable", GateComparison("mse", "stable", 0.001, smaller_is_better=True)),
        ("accuracy@prod", GateComparison("accuracy", "prod")),
        ("f1{a:b@c}:0.5@d", GateComparison("f1{a:b@c}", "d", 0.5)),
        ("f1[t@1.csv]", GateComparison("f1[t@1.csv]")),
    ],
)
def test_comparisons_are_read_and_written(text: str, expected: GateComparison) -> None:
    """METRIC[:MARGIN][@ALIAS], where the metric may have data and a slice."""
    made = comparison(text)
    assert (expected, expected) == (made, comparison(written_comparison(made)))


@pytest.mark.parametrize(
    "text",
    ["", ":0.1", "accuracy:", "accuracy:x", "accuracy@", "a b", "accuracy:-1", "accuracy:nan"],
)
def test_no_comparison_is_refused(text: str) -> None:
    """What has no metric, a margin below 0 or an empty alias is refused."""
    with pytest.raises(errors.InvalidArgument) as refused:
        comparison(text)
    assert "GATE_INVALID" == refused.value.reason


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (GateRecord(require=("accuracy >",)), "column 11: it ends here"),
        (GateRecord(require=("",)), "a rule is empty"),
        (GateRecord(require=("accuracy > high",)), "accuracy is a number"),
        (GateRecord(require=("a > 1",) * 33), "33 rules; 32 are allowed"),
        (GateRecord(require=("a" * 600 + " > 1",)), "604 characters; 512 are allowed"),
        (GateRecord(no_worse_than=(GateComparison("a > 1"),)), "is not one field"),
        (GateRecord(no_worse_than=(GateComparison("a", margin=-0.1),)), "is not 0 or more"),
        (GateRecord(aliases=("a",) * 65), "65 aliases; 64 are allowed"),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(gate: GateRecord, said: str) -> None:
    """A rule that could never be asked is refused when it is set, not when it is needed."""
    with pytest.raises(errors.InvalidArgument) as refused:
        check_gate(gate)
    assert "GATE_INVALID" == refused.value.reason
    assert said in refused.value.message
