"""The command line `headrace`."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command that the process's arguments name, and end with its exit status."""
    from headrace.service.standard_streams import open_closed_streams

    open_closed_streams()
    from headrace.cli.app import run

    sys.exit(run(sys.argv[1:]))
