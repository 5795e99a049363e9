"""The command line `headrace`."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command that the process's arguments name, and end with its exit status."""
    from headrace.service.standard_streams import open_closed_streams

    open_closed_streams()
    # gRPC has lines of its own for what the command's error says; it reads this when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from headrace.cli.app import run

    sys.exit(run(sys.argv[1:]))
