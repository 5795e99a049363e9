"""`python -m headrace.gateway`."""

from __future__ import annotations

import os

# Before gRPC is imported: it would warn at each start of Envoy.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import functools
import sys
from collections.abc import Sequence

from headrace.gateway import app
from headrace.gateway.settings_file import SERVICE, read_settings
from headrace.service import logs, serving
from headrace.service.standard_streams import open_closed_streams
from headrace.settings import EXIT_USAGE, SettingsError


def main(arguments: Sequence[str]) -> int:
    """Run a gateway with these settings and those of the environment; the exit status."""
    open_closed_streams()
    read = functools.partial(read_settings, arguments, os.environ)
    try:
        settings = read()
    except SettingsError as error:
        for line in str(error).splitlines():
            print(f"headrace-{SERVICE}: {line}", file=sys.stderr)  # noqa: T201
        return EXIT_USAGE
    logs.set_up(SERVICE, settings.log_format, settings.log_level)
    run = functools.partial(app.main, settings, read_again=read)
    return serving.run(run, stop_with_stdin=settings.stop_with_stdin)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
