"""`python -m headrace_inference`: run a replica."""

import functools
import os
import sys

from headrace import logs, serving
from headrace.settings import read_or_exit
from headrace_inference import app
from headrace_inference.adapters import resident_memory
from headrace_inference.settings import Settings


def main() -> int:
    """Read the settings, run, and give the process's exit status."""
    settings = read_or_exit(Settings, "inference", sys.argv[1:], os.environ)
    resident_memory.tune_allocator()
    logs.set_up("inference", settings.log_format, settings.log_level)
    return serving.run(
        functools.partial(app.main, settings), stop_with_stdin=settings.stop_with_stdin
    )


if __name__ == "__main__":
    sys.exit(main())
