"""Models of other people, read out of packages of PyPI: a few of those that `make published` runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.published_models import outcomes

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]

FEW = ("magika", "basic-pitch", "rapidocr-onnxruntime", "openwakeword==0.4.0", "swift-f0")


@pytest.mark.parametrize("front", ["native", "grpcio"])
async def test_models_of_other_people_are_served_alike(tmp_path: Path, front: str) -> None:
    """Pushed as they are, ready soon, and the same bits as from bare ONNX Runtime."""
    found = [each async for each in outcomes(tmp_path, FEW, front)]
    run = [(model, outcome) for model, outcome in found if outcome is not None]
    assert [] == [(model.path.name, outcome.fault) for model, outcome in run if outcome.fault]
    assert len(run) > len(FEW)
