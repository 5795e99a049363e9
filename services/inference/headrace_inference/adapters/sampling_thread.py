"""The thread on which sampled rows are looked at."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from headrace_inference.domain.sampling.sampler import TICK_SECONDS, Sampler

logger = logging.getLogger(__name__)


@contextmanager
def looking_at_rows(sampler: Sampler) -> Iterator[None]:
    """Hand on what is sampled while inside, in a thread that is joined at the end; then, what is left."""
    if not sampler.is_on:
        yield
        return
    closing = threading.Event()
    thread = threading.Thread(target=_run, args=(sampler, closing), name="sampling", daemon=True)
    thread.start()
    try:
        yield
    finally:
        closing.set()
        thread.join()
        sampler.tick()


def _run(sampler: Sampler, closing: threading.Event) -> None:
    while not closing.wait(TICK_SECONDS):
        try:
            sampler.tick()
        except Exception:  # a fault here costs profiles, and must cost no answer
            logger.exception("sampled rows were not looked at")
