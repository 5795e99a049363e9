"""Learns the ranges of a graph's tensors from rows of a sample, a piece at a time."""

from __future__ import annotations

import enum
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.lifecycle.optimisation.artifact_folders import MOST_IN_ONE_FILE
from headrace.lifecycle.optimisation.integers import static_operators
from headrace.lifecycle.optimisation.quiet import quietly
from headrace.lifecycle.predictors.predictor import Tensors

if TYPE_CHECKING:
    from onnx import ModelProto


class Calibration(enum.StrEnum):
    """How the range of a tensor follows from its values."""

    MINMAX = "minmax"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"


_PERCENTILE = 99.99


def calibrated(model: ModelProto, pieces: Iterable[Tensors], kind: Calibration) -> Any:
    """The ranges of the tensors of a prepared graph.

    Of each piece histograms or bounds are kept, and not its values: memory is that of one piece.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import create_calibrator

    methods = {
        Calibration.MINMAX: CalibrationMethod.MinMax,
        Calibration.PERCENTILE: CalibrationMethod.Percentile,
        Calibration.ENTROPY: CalibrationMethod.Entropy,
    }
    with tempfile.TemporaryDirectory(prefix="headrace-optimise-") as name, quietly():
        folder, large = Path(name), model.ByteSize() > MOST_IN_ONE_FILE
        onnx.save(model, folder / "model.onnx", save_as_external_data=large)
        calibrator = create_calibrator(
            folder / "model.onnx",
            static_operators(model),
            augmented_model_path=str(folder / "augmented.onnx"),
            calibrate_method=methods[kind],
            use_external_data_format=large,
            extra_options={"percentile": _PERCENTILE, "symmetric": False},
        )
        for piece in pieces:
            calibrator.collect_data(_Reader(piece))
        return calibrator.compute_data()


class _Reader:
    """One piece, as ONNX Runtime's calibrators read."""

    def __init__(self, piece: Tensors) -> None:
        self._left: Iterator[Tensors] = iter([piece])

    def get_next(self) -> dict[str, Any] | None:
        """The piece, then nothing."""
        piece = next(self._left, None)
        return None if piece is None else dict(piece)
