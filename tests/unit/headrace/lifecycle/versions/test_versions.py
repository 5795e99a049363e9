"""Model cards, comparisons and trees of versions, made of what is known of them."""

from __future__ import annotations

from typing import Any

from headrace.client import Lineage, Metric, Version, VersionAnnotations
from headrace.datatype_names import Datatype
from headrace.lifecycle.versions.comparison import Described, compare_versions
from headrace.lifecycle.versions.lineage import lineage_trees
from headrace.lifecycle.versions.model_card import draft_card
from headrace.state.records import ArtifactFile, ServingConfig, Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("x", Datatype.FP32, (-1, 4)),), (TensorSpec("y", Datatype.FP32, (-1, 2)),)
)
HOSTILE = "<script>alert(1)</script> | [x](javascript:1) `a` *b*\n# c \x1b[31m"


def described(number: int = 1, *metrics: Metric, **said: Any) -> Described:
    """A version with what is said of it."""
    files = (ArtifactFile("model.onnx", 10 * number, f"{number}" * 64),)
    version = Version("digits", number, "d" * 64, files, "", SIGNATURE, ServingConfig(), 0.0)
    return Described(version, VersionAnnotations("digits", number, metrics=metrics, **said))


def test_a_card_lets_nothing_out_of_its_text() -> None:
    """What others wrote opens no tag, link, table cell, heading or line, and reaches no terminal."""
    lineage = Lineage(method=HOSTILE, command=HOSTILE, training_run=HOSTILE, facts={"a": HOSTILE})
    metric = Metric("accuracy", 0.9, HOSTILE, data_name=HOSTILE)
    text = draft_card(described(1, metric, tags={"a": HOSTILE}, lineage=lineage), [HOSTILE])
    lines = text.splitlines()
    cells = [line.replace("\\|", "").count("|") for line in lines if "accuracy" in line]
    assert [] == [word for word in ("<script>", "\x1b", " [x](", " `a`", " *b*") if word in text]
    assert not [line for line in lines if line.startswith("# c")]
    assert [8] == cells


def test_metrics_are_compared_on_the_same_data_alone() -> None:
    """Another slice or other data is another metric; intervals that share a value may differ by chance."""
    one = described(1, Metric("a", 0.8, lower=0.7, upper=0.9), Metric("b", 1.0, data_digest="1"))
    other = described(2, Metric("a", 0.9, lower=0.85, upper=1.0), Metric("b", 1.0, data_digest="2"))
    found = compare_versions(one, other)
    far = compare_versions(one, described(3, Metric("a", 0.95, lower=0.91, upper=0.99)))
    assert [("a", True), ("b", None), ("b", None)] == [
        (each.name, each.intervals_overlap) for each in found.metrics
    ]
    assert (None, False) == (found.metrics[1].change, far.metrics[0].intervals_overlap)
    assert ((), ()) == (found.signature, found.config)


def test_the_tree_goes_on_over_deleted_versions() -> None:
    """A parent that is not there any more stands where it stood."""
    trees = lineage_trees({1: None, 2: Lineage(1), 5: Lineage(4), 6: Lineage(4), 7: Lineage(2)})
    walked = [(depth, node.version, node.present) for tree in trees for depth, node in tree.walk()]
    assert [
        (0, 1, True),
        (1, 2, True),
        (2, 7, True),
        (0, 4, False),
        (1, 5, True),
        (1, 6, True),
    ] == walked
