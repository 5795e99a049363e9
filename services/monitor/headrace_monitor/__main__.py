"""`python -m headrace_monitor`: the monitor as a process."""

from __future__ import annotations

import functools
import os
import sys

from headrace import logs, serving, settings
from headrace.standard_streams import open_closed_streams
from headrace_monitor import app
from headrace_monitor.settings import Settings


def main() -> int:
    """Read the settings, serve until told to stop, and give the exit status."""
    open_closed_streams()
    own = settings.read_or_exit(Settings, "monitor", sys.argv[1:], os.environ)
    logs.set_up("monitor", own.log_format, own.log_level)
    return serving.run(functools.partial(app.main, own), stop_with_stdin=own.stop_with_stdin)


if __name__ == "__main__":
    sys.exit(main())
