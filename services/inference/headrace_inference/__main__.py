"""`python -m headrace_inference`: run a replica."""

import asyncio
import functools
import os
import sys

from headrace.onnx_runtime.installation import require_onnx_runtime
from headrace.service import logs, serving
from headrace.service.standard_streams import open_closed_streams
from headrace.settings import read_or_exit
from headrace_inference.adapters import allocator
from headrace_inference.settings import Settings


def main() -> int:
    """Read the settings, run, and give the process's exit status."""
    open_closed_streams()
    settings = read_or_exit(Settings, "inference", sys.argv[1:], os.environ)
    allocator.tune_allocator()
    logs.set_up("inference", settings.log_format, settings.log_level)
    return serving.run(functools.partial(_run, settings), stop_with_stdin=settings.stop_with_stdin)


async def _run(settings: Settings, stopping: asyncio.Event) -> None:
    """Run a replica, once it is known that what it imports is there."""
    require_onnx_runtime()
    from headrace_inference import app

    await app.main(settings, stopping)


if __name__ == "__main__":
    sys.exit(main())
