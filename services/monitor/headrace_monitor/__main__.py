"""`python -m headrace_monitor`: the monitor as a process."""

from __future__ import annotations

import functools
import os
import sys

from headrace import settings
from headrace.service import logs, serving
from headrace.service.standard_streams import open_closed_streams
from headrace_monitor.app import monitor
from headrace_monitor.settings import Settings

SWITCH_SECONDS = 0.001
"""How long the threads that read reports and answer questions may keep the interpreter while the event loop
wants it; by default it is 5 ms, which every small call would wait then."""


def main() -> int:
    """Read the settings, serve until told to stop, and give the exit status."""
    open_closed_streams()
    sys.setswitchinterval(SWITCH_SECONDS)
    own = settings.read_or_exit(Settings, "monitor", sys.argv[1:], os.environ)
    logs.set_up("monitor", own.log_format, own.log_level)
    return serving.run(functools.partial(monitor.main, own), stop_with_stdin=own.stop_with_stdin)


if __name__ == "__main__":
    sys.exit(main())
