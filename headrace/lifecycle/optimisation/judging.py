"""Opens candidates, checks that callers notice nothing, and compares their answers with the parent's."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headrace import errors
from headrace.lifecycle.evaluation.judging import Judged
from headrace.lifecycle.evaluation.resampling import RESAMPLES
from headrace.lifecycle.optimisation.artifact_folders import MOST_IN_ONE_FILE
from headrace.lifecycle.optimisation.differences import Difference, difference_of
from headrace.lifecycle.optimisation.losses import Criterion, Loss, Truth, loss_by_parent
from headrace.lifecycle.optimisation.samples import Part, Sample, fixed_rows
from headrace.lifecycle.predictors.predictor import Array
from headrace.lifecycle.predictors.session import SessionPredictor
from headrace.state.annotation_records import Metric
from headrace.state.records import Signature, TensorSpec

if TYPE_CHECKING:
    from onnx import ModelProto

_ROWS = 64
_SEARCH_ROWS = 512
_SEARCH_RESAMPLES = 200
_MIXING = frozenset(
    [
        "DynamicQuantizeLinear",
        "DynamicQuantizeMatMul",
        "DynamicQuantizeLSTM",
        "MatMulIntegerToFloat",
    ]
)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be lost."""

    loss: float = 0.005
    output_difference: float | None = None
    """The largest difference of any value; None: whatever the loss allows."""
    is_sure: bool = False
    """Whether the whole interval of the loss has to be within."""

    def fits(self, found: Difference) -> bool:
        """Return whether a candidate is within."""
        lost = found.loss.upper if self.is_sure else found.loss.value
        if self.output_difference is not None and found.largest > self.output_difference:
            return False
        return lost <= self.loss

    def half(self) -> Allowed:
        """The same with half of the loss, for the first of two steps."""
        return Allowed(self.loss / 2, self.output_difference, self.is_sure)


@dataclass(frozen=True, slots=True)
class Opinion:
    """The parent's answers to some rows, and how good they are where the truth is known."""

    part: Part
    answers: Mapping[str, Array]
    truth: Truth | None = None
    judged: Judged | None = None

    def value(self) -> tuple[str, float | None]:
        """The metric and its value."""
        if self.truth is None or self.judged is None:
            return "", None
        return self.truth.value(self.judged)

    def loss(self, answers: Mapping[str, Array], draws: int) -> Loss | None:
        """What other answers lose of the metric."""
        if self.truth is None or self.judged is None:
            return None
        after = self.truth.judged(answers, self.judged.task)
        return self.truth.loss(self.judged, after, draws)

    def metrics(self, answers: Mapping[str, Array]) -> list[Metric]:
        """All metrics of some answers to the rows."""
        if self.truth is None or self.judged is None:
            return []
        return self.truth.metrics(self.truth.judged(answers, self.judged.task))


class Judge:
    """Compares graphs with a parent over a sample, whose answers it keeps."""

    def __init__(
        self,
        parent: ModelProto,
        sample: Sample,
        *,
        rows_per_run: int = _ROWS,
        criterion: Criterion | None = None,
    ) -> None:
        """Have the parent answer. Raises InvalidArgument (GRAPH_UNUSABLE, EVALUATION_IMPOSSIBLE)."""
        with _opened(parent, 1) as opened:
            self.signature = opened.signature
        self.fixed_rows = fixed_rows(self.signature)
        self._rows_per_run = self.fixed_rows or rows_per_run
        self.whole_making = sample.making
        self.making = sample.making.first(
            max(_SEARCH_ROWS // (self.fixed_rows or 1), 1) * (self.fixed_rows or 1)
        )
        self.judging = sample.judging
        self._of_making = self._opinion(parent, self.making, criterion)
        self._of_judging = self._opinion(parent, self.judging, criterion)

    def search(self, model: ModelProto) -> Difference:
        """Compare over the rows that candidates are made with."""
        return self._compare(model, self._of_making, _SEARCH_RESAMPLES)

    def judge(self, model: ModelProto) -> Difference:
        """Compare over the other rows."""
        return self._compare(model, self._of_judging, RESAMPLES)

    def parent_metric(self) -> tuple[str, float | None]:
        """The metric and the parent's value over the rows of the judgement; '' where no truth is known."""
        return self._of_judging.value()

    def metrics(self, model: ModelProto | None = None) -> list[Metric]:
        """All metrics of a graph, or of the parent, over the rows of the judgement; [] without a truth."""
        found = self._of_judging
        return found.metrics(found.answers if model is None else self._answers(model, found.part))

    def _compare(self, model: ModelProto, parent: Opinion, draws: int) -> Difference:
        after = self._answers(model, parent.part)
        largest, mean, relative, same = difference_of(parent.answers, after)
        loss = parent.loss(after, draws) or loss_by_parent(same, relative)
        agreement = None if same is None else float(same.mean())
        rows = parent.part.rows
        return Difference(rows, largest, mean, float(relative.mean()), agreement, loss)

    def _opinion(self, parent: ModelProto, part: Part, criterion: Criterion | None) -> Opinion:
        answers = self._answers(parent, part)
        if criterion is None or part.truths is None:
            return Opinion(part, answers)
        truth = Truth(part.truths, criterion)
        judged = truth.judged(answers)
        truth.value(judged)  # raises where it is not measured
        return Opinion(part, answers, truth, judged)

    def _answers(self, model: ModelProto, part: Part) -> dict[str, Array]:
        rows = max(1, self.fixed_rows) if mixes_rows(model) else self._rows_per_run
        with _opened(model, rows) as predictor:
            check_ends(self.signature, predictor.signature)
            return predictor.run(part.inputs)


class _opened:  # noqa: N801 - it is used as the function that it stands for
    """A session of a graph while inside; what is too large for one message goes through a file."""

    def __init__(self, model: ModelProto, rows: int) -> None:
        self._model, self._rows = model, rows
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> SessionPredictor:
        if self._model.ByteSize() < MOST_IN_ONE_FILE:
            return SessionPredictor(self._model.SerializeToString(), rows_per_run=self._rows)
        import onnx

        self._folder = tempfile.TemporaryDirectory(prefix="headrace-optimise-")
        path = Path(self._folder.name) / "model.onnx"
        onnx.save(self._model, path, save_as_external_data=True, location="model.onnx.data")
        return SessionPredictor(path, rows_per_run=self._rows)

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()


def mixes_rows(model: ModelProto) -> bool:
    """Return whether rows of one run change one another's answers, for scales are of all of them."""
    return any(node.op_type in _MIXING for node in model.graph.node)


def check_ends(parent: Signature, candidate: Signature) -> None:
    """Pass where callers can go on as they are. Raises InvalidArgument (GRAPH_UNUSABLE)."""
    for one, other in (
        (parent.inputs, candidate.inputs),
        (parent.outputs, candidate.outputs),
    ):
        if [_end(each) for each in one] != [_end(each) for each in other]:
            raise errors.InvalidArgument(
                "GRAPH_UNUSABLE",
                f"inputs or outputs would change from {_listed(one)} to {_listed(other)}",
            )


def _end(spec: TensorSpec) -> tuple[object, ...]:
    return spec.name, spec.datatype, spec.shape


def _listed(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{spec.name} {spec.datatype} {list(spec.shape)}" for spec in specs)
