"""`python -m headrace_registry`."""

from __future__ import annotations

import functools
import os
import sys

from headrace import logs, serving
from headrace.settings import read_or_exit
from headrace_registry import app
from headrace_registry.settings import Settings


def main() -> int:
    """Run the registry with the settings of this process; the exit status."""
    settings = read_or_exit(Settings, "registry", sys.argv[1:], os.environ)
    logs.set_up("registry", settings.log_format, settings.log_level)
    run = functools.partial(app.main, settings)
    return serving.run(run, stop_with_stdin=settings.stop_with_stdin)


if __name__ == "__main__":
    sys.exit(main())
