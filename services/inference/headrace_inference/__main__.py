"""`python -m headrace_inference`: run a replica."""

import asyncio
import functools
import logging
import os
import sys

from headrace.onnx_runtime.installation import require_onnx_runtime
from headrace.service import logs, serving
from headrace.service.standard_streams import open_closed_streams
from headrace.settings import read_or_exit
from headrace.state.redis_url import forget_passwords
from headrace_inference.adapters import allocator
from headrace_inference.settings import Settings

logger = logging.getLogger(__name__)


def main() -> int:
    """Read the settings, run, and give the process's exit status."""
    open_closed_streams()
    settings = read_or_exit(Settings, "inference", sys.argv[1:], os.environ)
    is_chosen = allocator.restart_with(settings.allocator)
    forget_passwords(os.environ)
    allocator.tune_allocator()
    logs.set_up("inference", settings.log_format, settings.log_level)
    _tell_allocator(settings, is_chosen=is_chosen)
    return serving.run(functools.partial(_run, settings), stop_with_stdin=settings.stop_with_stdin)


def _tell_allocator(settings: Settings, *, is_chosen: bool) -> None:
    facts = {"allocator": allocator.in_use(), "asked": settings.allocator}
    if is_chosen:
        logger.info("memory comes from this allocator", extra=facts)
    else:
        logger.warning(
            "the allocator that was asked for is not installed; install its library, such as Debian's "
            "libtcmalloc-minimal4",
            extra=facts,
        )


async def _run(settings: Settings, stopping: asyncio.Event) -> None:
    """Run a replica, once it is known that what it imports is there."""
    require_onnx_runtime()
    from headrace_inference import app

    await app.main(settings, stopping)


if __name__ == "__main__":
    sys.exit(main())
