"""`python -m headrace_registry`."""

from __future__ import annotations

import asyncio
import functools
import os
import sys

from headrace.onnx_runtime.installation import require_onnx_runtime
from headrace.service import logs, serving
from headrace.service.standard_streams import open_closed_streams
from headrace.settings import read_or_exit
from headrace.state.redis_url import forget_passwords
from headrace_registry import app
from headrace_registry.settings import Settings


def main() -> int:
    """Run the registry with the settings of this process; the exit status."""
    open_closed_streams()
    settings = read_or_exit(Settings, "registry", sys.argv[1:], os.environ)
    forget_passwords(os.environ)
    logs.set_up("registry", settings.log_format, settings.log_level)
    run = functools.partial(_run, settings)
    return serving.run(run, stop_with_stdin=settings.stop_with_stdin)


async def _run(settings: Settings, stopping: asyncio.Event) -> None:
    """Run the registry, once it is known that what checks artifacts is there."""
    require_onnx_runtime()
    await app.main(settings, stopping)


if __name__ == "__main__":
    sys.exit(main())
