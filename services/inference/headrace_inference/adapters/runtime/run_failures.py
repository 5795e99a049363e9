"""What ONNX Runtime raises, as errors that say what kind of failure it is, without its source's paths."""

from __future__ import annotations

import re

from onnxruntime.capi import onnxruntime_pybind11_state as state

from headrace_inference.domain.runner import InputsRefused, OutOfMemory, RunFailed

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

MAX_TEXT = 600
"""Long enough for any message about shapes; some errors quote whole graphs."""

_STATUS = re.compile(r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_PLACE = r"/\S+\.(?:cc|h|cu|cpp):\d+ "
_FUNCTION = r"[^().]*\([^()]*\)(?:::<lambda\(.*?\)>)?(?: const)?(?: \[with [^\]]*\])? "
_SOURCE = re.compile(f"{_PLACE}(?:{_FUNCTION})?")
_OUT_OF_MEMORY = (
    "Failed to allocate memory",
    "bad_alloc",
    "smaller than requested bytes",
    "out of memory",
    "Unable to allocate",
)
_DEVICE = ("CUDA failure", "CUDNN failure", "CUBLAS failure", "CUDA error", "TensorRT EP")


class DeviceFailed(RunFailed):
    """The device failed, whatever the inputs were."""

    is_fatal = True


def run_failed(error: Exception) -> RunFailed:
    """The failure that an exception of the runtime stands for."""
    text = tidy(str(error) or type(error).__name__)
    if isinstance(error, MemoryError) or any(mark in text for mark in _OUT_OF_MEMORY):
        return OutOfMemory(text)
    if isinstance(error, state.EPFail) or any(mark in text for mark in _DEVICE):
        return DeviceFailed(text)
    return InputsRefused(text) if isinstance(error, _REFUSALS) else RunFailed(text)


def tidy(text: str) -> str:
    """The runtime's text in one line, without status numbers and places in its source."""
    text = _SOURCE.sub("", _STATUS.sub("", text))
    text = " ".join(text.split())
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
