"""Candidates of small graphs, by every method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from headrace import errors
from headrace.lifecycle.evaluation.questions import Question
from headrace.lifecycle.optimisation.artifact_folders import ArtifactFolder
from headrace.lifecycle.optimisation.calibration import Calibration, calibrated
from headrace.lifecycle.optimisation.candidates import MIXED_NOTE, Candidate, make_candidate
from headrace.lifecycle.optimisation.integers import prepared
from headrace.lifecycle.optimisation.judging import Allowed, Judge
from headrace.lifecycle.optimisation.losses import Criterion
from headrace.lifecycle.optimisation.methods import Method, chain_name, chains_of
from headrace.lifecycle.optimisation.samples import Sample, read_sample, sample_of
from headrace.lifecycle.predictors.session import SessionPredictor
from headrace.lifecycle.tables.rows import Rows
from tests.unit.headrace.lifecycle.optimisation import small_graphs as graphs


def folder_of(model: onnx.ModelProto, folder: Path) -> ArtifactFolder:
    folder.mkdir()
    onnx.save(model, folder / "model.onnx")
    (folder / "labels.txt").write_text("zero\none\n")
    return ArtifactFolder(folder, "model.onnx")


def digits_sample(artifact: ArtifactFolder, rows: int = 600) -> Sample:
    images, labels = graphs.digits()
    signature = SessionPredictor(artifact.graph).signature
    truths = Rows(0, {"digit": labels[:rows]})
    return sample_of({"image": images[:rows]}, truths, signature, "digits")


def made(
    method: str, model: onnx.ModelProto, folder: Path, inputs: Any, loss: float = 0.01
) -> Candidate:
    artifact = folder_of(model, folder / "parent")
    signature = SessionPredictor(artifact.graph).signature
    judge = Judge(model, sample_of(inputs, None, signature))
    return make_candidate(chains_of([method])[0], artifact, judge, Allowed(loss), folder / "made")


@pytest.mark.parametrize(
    ("method", "most_bytes"),
    [
        ("simplify", 1.1),
        ("dynamic-int8", 0.5),
        ("static-int8", 0.6),
        ("int4", 0.45),
        ("fp16", 0.6),
        ("prune", 0.99),
        ("prune-weights", 1.01),
        ("prune+static-int8", 0.6),
        ("simplify+dynamic-int8", 0.5),
    ],
)
def test_every_method_keeps_what_callers_know_and_most_answers(
    method: str, most_bytes: float, tmp_path: Path
) -> None:
    """Names, types and shapes stay, other files are there, and the loss is within what was allowed."""
    model = onnx.load_from_string(graphs.digits_mlp())
    parent = folder_of(model, tmp_path / "parent")
    judge = Judge(model, digits_sample(parent), criterion=Criterion(Question(("digit",))))
    candidate = make_candidate(
        chains_of([method])[0], parent, judge, Allowed(0.02), tmp_path / "made"
    )
    assert "" == candidate.refused
    assert candidate.artifact is not None
    assert candidate.difference is not None
    assert ["labels.txt", "model.onnx"] == list(candidate.artifact.files())
    assert candidate.artifact.model_bytes <= most_bytes * parent.model_bytes
    opened = SessionPredictor(candidate.artifact.graph)
    assert SessionPredictor(parent.graph).signature == opened.signature
    loss = candidate.difference.loss
    assert loss.lower <= loss.value <= loss.upper
    assert loss.value <= 0.02
    assert ("dynamic" in method) == (MIXED_NOTE in candidate.notes)


def test_weights_outside_of_the_graph_stay_outside(tmp_path: Path) -> None:
    """External data has the file that it had."""
    folder = tmp_path / "parent"
    folder.mkdir()
    model = onnx.load_from_string(graphs.digits_mlp())
    onnx.save(
        model,
        folder / "net.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    parent = ArtifactFolder(folder, "net.onnx")
    judge = Judge(parent.load(), digits_sample(parent))
    candidate = make_candidate((Method.FP16,), parent, judge, Allowed(), tmp_path / "made")
    assert candidate.artifact is not None
    assert ["net.onnx", "weights.bin"] == list(candidate.artifact.files())
    assert candidate.artifact.model_bytes < 0.7 * parent.model_bytes
    SessionPredictor(candidate.artifact.graph)


def test_layers_that_break_are_left_out_until_the_loss_fits(tmp_path: Path) -> None:
    """Of a layer with one value that is much larger than the others 8 bits leave too little."""
    rows = {"x": np.tile(graphs.normal(5, 100, 16), (2, 1))}
    candidate = made("static-int8", graphs.with_uneven_layers(), tmp_path, rows, 0.03)
    assert candidate.difference is not None
    assert "uneven" in candidate.facts["left_out"]
    assert "first" not in candidate.facts["left_out"]
    assert candidate.difference.loss.value < 0.03


def test_layers_are_left_out_by_groups_where_they_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neighbours are tried together: two layers with one trial."""
    monkeypatch.setattr("headrace.lifecycle.optimisation.search._MOST_TRIALS", 2)
    rows = {"x": np.tile(graphs.normal(5, 100, 16), (2, 1))}
    candidate = made("static-int8", graphs.with_uneven_layers(), tmp_path, rows, 0.03)
    assert "first, uneven" == candidate.facts["left_out"]


def test_ranges_of_pieces_are_those_of_all_rows() -> None:
    """Calibration takes a piece at a time, and knows what all of them had."""
    model = prepared(graphs.gemms("Relu"), static=True)
    rows = graphs.normal(4, 64, 8)
    pieces = [{"x": rows[start : start + 10]} for start in range(0, 64, 10)]
    whole = calibrated(model, [{"x": rows}], Calibration.MINMAX)
    parts = calibrated(model, pieces, Calibration.MINMAX)
    for name in whole.keys():  # noqa: SIM118 - it is no mapping
        assert whole[name].range_value == parts[name].range_value


@pytest.mark.parametrize("kind", list(Calibration))
def test_every_calibration_reads_pieces(kind: Calibration, capsys: Any) -> None:
    """Each gives a range for every tensor that is quantised, and prints nothing."""
    model = prepared(graphs.convolutions(), static=True)
    pieces = [{"x": graphs.normal(seed, 8, 1, 8, 8)} for seed in range(3)]
    found = calibrated(model, pieces, kind)
    assert {"x", "y"} <= set(found.keys())
    assert "" == capsys.readouterr().out


@pytest.mark.parametrize("method", ["dynamic-int8", "static-int8", "int4", "fp16", "prune"])
def test_a_graph_without_weights_is_refused_by_name(method: str, tmp_path: Path) -> None:
    """The candidate says what the graph has not."""
    rows = {"x": graphs.normal(0, 64, 4)}
    candidate = made(method, graphs.without_weights(), tmp_path, rows)
    assert candidate.artifact is None
    assert "FP32 weights" in candidate.refused


def test_convolutions_are_quantised_and_pruned(tmp_path: Path) -> None:
    """What lies between them is, too, and answers stay close."""
    rows = {"x": graphs.normal(0, 128, 1, 8, 8)}
    for place, method in enumerate(("static-int8", "dynamic-int8", "fp16", "prune")):
        folder = tmp_path / str(place)
        folder.mkdir()
        candidate = made(method, graphs.convolutions(dead=(1, 2)), folder, rows, 0.1)
        assert "" == candidate.refused
        assert candidate.difference is not None
        assert candidate.difference.relative < 0.2


def test_a_fixed_number_of_rows_is_kept(tmp_path: Path) -> None:
    """A graph that takes 4 rows a run is made and judged with 4."""
    model = graphs.gemms("Relu")
    for end in (*model.graph.input, *model.graph.output):
        end.type.tensor_type.shape.dim[0].dim_value = 4
    candidate = made("static-int8", model, tmp_path, {"x": graphs.normal(1, 67, 8)}, 0.1)
    assert "" == candidate.refused
    assert candidate.difference is not None
    assert 32 == candidate.difference.rows


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("int3", "'int3' is no method"),
        ("int4+fp16", "one of dynamic-int8, fp16, int4, static-int8 at most"),
        ("int4+prune", "int4 comes last"),
        ("prune+prune", "each step is taken once"),
    ],
)
def test_chains_that_do_not_go_together_are_refused(name: str, what: str) -> None:
    """The message says which."""
    with pytest.raises(errors.InvalidArgument, match=what) as caught:
        chains_of([name])
    assert "METHOD_INVALID" == caught.value.reason


def test_auto_stands_for_all_methods() -> None:
    """Each chain is tried once, whatever else is named."""
    names = [chain_name(chain) for chain in chains_of(["int4", "auto", "int4"])]
    assert "int4" == names[0]
    assert len(names) == len(set(names))
    assert {"simplify", "dynamic-int8", "static-int8", "fp16", "prune"} <= set(names)


def test_an_empty_sample_is_refused(tmp_path: Path) -> None:
    """A table without rows makes no candidate."""
    (tmp_path / "rows.csv").write_text(",".join(f"x[{place}]" for place in range(8)) + "\n")
    signature = SessionPredictor(graphs.gemms("Relu").SerializeToString()).signature
    with pytest.raises(errors.InvalidArgument, match="no rows") as caught:
        read_sample(tmp_path / "rows.csv", signature)
    assert "ROWS_INVALID" == caught.value.reason


def test_a_target_that_is_no_column_is_refused(tmp_path: Path) -> None:
    """The message has the columns that there are."""
    np.savez(tmp_path / "rows.npz", x=graphs.normal(0, 10, 8), kind=np.arange(10))
    signature = SessionPredictor(graphs.gemms("Relu").SerializeToString()).signature
    with pytest.raises(errors.InvalidArgument, match=r"no column 'label'.*x, kind"):
        read_sample(tmp_path / "rows.npz", signature, Criterion(Question(("label",))))
    found = read_sample(tmp_path / "rows.npz", signature, Criterion(Question(("kind",))))
    assert 10 == found.rows
    assert not found.is_split
