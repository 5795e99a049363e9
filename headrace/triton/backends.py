"""Refuses Triton configs of models that are no ONNX graphs."""

from __future__ import annotations

from headrace import errors
from headrace.inference import model_config_pb2
from headrace.triton.to_serving_config import BACKEND, PLATFORM


def check_backend(name: str, config: model_config_pb2.ModelConfig) -> None:
    """Pass for the backend that runs ONNX. Raises InvalidArgument (TRITON_BACKEND_UNSUPPORTED)."""
    if config.platform in ("", PLATFORM) and config.backend in ("", BACKEND):
        return
    steps = ", ".join(step.model_name for step in config.ensemble_scheduling.step)
    what = f"is an ensemble of {steps}" if steps else f"runs on {config.backend or config.platform}"
    remedy = "call these one after another, or join their graphs" if steps else "export it to ONNX"
    raise errors.InvalidArgument(
        "TRITON_BACKEND_UNSUPPORTED",
        f"model {name!r} {what}, and Headrace serves ONNX graphs: {remedy}, or leave it on Triton",
    )
