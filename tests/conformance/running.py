"""Run cases: examine them in worker processes, serve them group by group, call each on every wire."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from tests.conformance.bare import Examined, examine
from tests.conformance.calling import Caller
from tests.conformance.cases import Case
from tests.conformance.outcomes import Result, Wire
from tests.conformance.serving import Configure, Serving, unbatched

CASE_SECONDS = 120.0
"""The longest that a case may take in the reference; one that crashes its worker never ends."""

GROUP = 50
"""Cases served at a time: each has a thread and a session of its own."""

WIRES = (Wire.GRPC_RAW, Wire.GRPC_TYPED, Wire.HTTP_BINARY, Wire.HTTP_JSON)


def examine_all(cases: Iterable[Case], workers: int, until: float) -> Iterator[Examined]:
    """Each case with what the reference and the registry's check say, all by `until` (monotonic)."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        waiting = [(case, pool.apply_async(examine, (case,))) for case in cases]
        for case, result in waiting:
            seconds = min(CASE_SECONDS, max(0.0, until - time.monotonic()))
            try:
                yield result.get(seconds)
            except multiprocessing.TimeoutError:
                yield Examined(
                    case, failure=f"no result after {seconds:.0f} s: it hangs or crashes"
                )


async def call_all(
    serving: Serving,
    caller: Caller,
    examined: Sequence[Examined],
    wires: Sequence[Wire] = WIRES,
    configure: Configure = unbatched,
) -> AsyncIterator[Result]:
    """What became of each case that the reference runs: served, and called on every wire."""
    for start in range(0, len(examined), GROUP):
        group = examined[start : start + GROUP]
        async with serving.holding(group, configure) as refusals:
            for one in group:
                refusal = refusals.get(one.case.name)
                called = {} if refusal else {wire: await caller.call(wire, one) for wire in wires}
                yield Result(one, refusal, called)
