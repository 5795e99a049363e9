"""Makes the error of a request whose run, or whose answer, failed."""

from __future__ import annotations

import logging

from headrace.errors import HeadraceError, Internal, InvalidArgument, ResourceExhausted
from headrace_inference.domain.scheduling.runner import InputsRefused, OutOfMemory, RunFailed

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 1.0


def error_of(version: str, error: Exception) -> HeadraceError:
    """The error that stands for a failure of a request that ran alone; what is a bug is logged."""
    facts = {"version": version}
    if isinstance(error, HeadraceError):
        return error
    if isinstance(error, OutOfMemory | MemoryError):
        return _no_memory(version, error)
    if isinstance(error, InputsRefused):
        return InvalidArgument("INPUTS_REFUSED", f"onnx runtime error: {error}", facts=facts)
    if isinstance(error, RunFailed):
        return Internal("RUN_FAILED", f"onnx runtime error: {error}", facts=facts)
    logger.error("a bug ended a run", exc_info=error, extra=facts)
    return Internal("INTERNAL", "the run failed; the replica's log has the details")


def _no_memory(version: str, error: Exception) -> ResourceExhausted:
    return ResourceExhausted(
        "RUN_OUT_OF_MEMORY",
        f"no memory to run this request of {version}: {error}; send less at a time, or give the replica "
        "more memory",
        facts={"version": version},
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )
