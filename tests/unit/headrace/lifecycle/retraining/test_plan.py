"""What a retraining file may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.errors import InvalidArgument
from headrace.lifecycle.retraining.plan import read_plan, seconds

GOOD = """
model: census
trigger: {schedule: "0 3 * * 1", alerts: [drift], labels: 500, pause: 6h}
train: {command: ["{python}", train.py]}
evaluate:
  data: test.csv
  target: label
  require: ["accuracy >= 0.8"]
  no_worse_than: [{metric: accuracy, margin: 0.01}]
canary: {weight: 25, for: 10m, min_requests: 100, max_error_rate: 0.01}
promote: {aliases: [champion]}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "retrain.yaml"
    path.write_text(text)
    return path


def test_a_file_says_all_of_it(tmp_path: Path) -> None:
    """What it does not say has defaults."""
    plan = read_plan(written(tmp_path, GOOD))
    assert plan.canary is not None
    assert ("census", 25.0, "10m") == (plan.model, plan.canary.weight, plan.canary.duration)
    assert plan.evaluate is not None
    assert "stable" == plan.evaluate.no_worse_than[0].than
    assert ("6h", True) == (plan.train.timeout, plan.promote.route)


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("model: census", "model: 'not a name'", "not a valid model name"),
        ("weight: 25", "weight: 0", "canary.weight"),
        ("weight: 25", "wieght: 25", "unknown field `wieght`"),
        ("for: 10m", "for: soon", "canary.for: 'soon' is no duration"),
        ("pause: 6h", "pause: -1h", "trigger.pause"),
        ("labels: 500", "labels: many", r"Expected `int`.*\$\.trigger\.labels"),
        ('"0 3 * * 1"', '"often"', "trigger.schedule 'often'"),
        ('["{python}", train.py]', "[]", "names no program"),
        ("train: {", "train: {model: ../model.onnx, ", "must lie in HEADRACE_OUT"),
        ("max_error_rate: 0.01", "max_error_rate: 2", "from 0 to 1"),
        ("promote: {aliases: [champion]}", "promote: {aliases: [Champion]}", "alias name"),
        ("accuracy >= 0.8", "accuracy >> 0.8", "accuracy >> 0.8"),
        ("target: label", "target: label\n  task: guessing", "evaluate.task is one of binary"),
        ("canary: {", "push: {config: {batchin: 1}}\ncanary: {", "serving config is malformed"),
        ("canary: {", "patience: long\ncanary: {", "patience: 'long' is no duration"),
        ("model: census", "model: [census", "while parsing"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, wrong: str, tmp_path: Path) -> None:
    """With the place in the file, and what is allowed."""
    assert old in GOOD
    with pytest.raises(InvalidArgument, match=wrong):
        read_plan(written(tmp_path, GOOD.replace(old, new)))


def test_nothing_that_would_name_the_new_version_is_refused(tmp_path: Path) -> None:
    """Neither a trial, nor the route, nor an alias: it would be for nothing."""
    text = "model: m\ntrain: {command: [x]}\npromote: {route: false}\n"
    with pytest.raises(InvalidArgument, match="nothing would name"):
        read_plan(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("1.5h", 5400), ("0s", 0), ("1w", 604800)]
)
def test_durations(text: str, expected: float) -> None:
    """As people write them."""
    assert expected == seconds(text, "x")
