"""Translates ONNX Runtime's exceptions to errors that say what kind of failure it is."""

from __future__ import annotations

from pathlib import Path

from onnxruntime.capi import onnxruntime_pybind11_state as state

from headrace.onnx_runtime.errors import clean_message
from headrace_inference.domain.scheduling.runner import InputsRefused, OutOfMemory, RunFailed

RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    UnicodeError,  # a string output that is no UTF-8
    MemoryError,
    *{
        kind
        for kind in vars(state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    },
)
"""All that a session raises: a class for each of its status codes, and built-in ones from its binding."""

_REFUSALS = (state.InvalidArgument, state.Fail, state.RuntimeException)
"""What operators end a run with. The graph itself is no reason: it ran when the version was warmed."""

_OUT_OF_MEMORY = (
    "Failed to allocate memory",
    "bad_alloc",
    "smaller than requested bytes",
    "out of memory",
    "Unable to allocate",
    "Cannot allocate memory",
    "pthread_create failed",
)
_DEVICE = ("CUDA failure", "CUDNN failure", "CUBLAS failure", "CUDA error", "TensorRT EP")


class DeviceFailed(RunFailed):
    """The device failed, whatever the inputs were."""

    is_fatal = True


def run_failed(error: Exception, folder: Path | None = None) -> RunFailed:
    """The failure that an exception of the runtime stands for; paths in `folder` begin there."""
    text = clean_message(str(error) or type(error).__name__, folder)
    if isinstance(error, MemoryError) or any(mark in text for mark in _OUT_OF_MEMORY):
        return OutOfMemory(text)
    if isinstance(error, state.EPFail) or any(mark in text for mark in _DEVICE):
        return DeviceFailed(text)
    return InputsRefused(text) if isinstance(error, _REFUSALS) else RunFailed(text)
