"""The thread on which sampled rows are looked at."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from headrace_inference.domain.sampling.sampler import TICK_SECONDS, Sampler

logger = logging.getLogger(__name__)

Calls = Sequence[Callable[[], None]]


@contextmanager
def looking_at_rows(sampler: Sampler, after_tick: Calls = (), at_end: Calls = ()) -> Iterator[None]:
    """Hand on what is sampled while inside, in a thread that is joined at the end; then, what is left.

    `after_tick` are called in it each time, `at_end` at last.
    """
    if not sampler.is_on:
        yield
        return
    closing = threading.Event()
    each_time = (sampler.tick, *after_tick)
    thread = threading.Thread(target=_run, args=(each_time, closing), name="sampling", daemon=True)
    thread.start()
    try:
        yield
    finally:
        closing.set()
        thread.join()
        _call((sampler.tick, *at_end))


def _run(each_time: Calls, closing: threading.Event) -> None:
    while not closing.wait(TICK_SECONDS):
        _call(each_time)


def _call(those: Calls) -> None:
    for one in those:
        try:
            one()
        except Exception:  # a fault here costs profiles, and must cost no answer
            logger.exception("sampled rows were not looked at")
