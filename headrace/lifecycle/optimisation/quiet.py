"""Keeps the advice of tools, which is for their developers, off the terminal."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def quietly() -> Iterator[None]:
    """Let nothing be logged while inside, by whichever logger, and nothing be printed: errors are raised.

    ONNX Runtime logs a stack of what it then goes on without.
    """
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
