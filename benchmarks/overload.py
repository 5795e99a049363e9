"""What does a server still answer at twice its capacity? Goodput, with and without deadlines.

    python -m benchmarks.overload [--old CHECKOUT] [--peer NAME=HOST:PORT] [--model encoder] [--times 2]

The capacity is the rate with 8 in flight, the mean of right before and right after. Requests are sent at
twice that, whatever is answered, for so many seconds: without a deadline, and with one of a second.
Goodput is the answers a second that came well, within the deadline where there is one, from a second after
the start until the sending ended, against the capacity. Refused are those answered with UNAVAILABLE or
RESOURCE_EXHAUSTED, late those with DEADLINE_EXCEEDED; p50 and p99 are those of good answers, and the last
one is how long after the end of the sending nobody waited any more. All servers take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np

from benchmarks import load, models
from benchmarks.models import Measured
from benchmarks.request_bodies import grpc_message
from benchmarks.sides import HERE, Side, open_suite_of, peer_side
from headrace.addresses import NO_PROXY

CAPACITY_IN_FLIGHT = 8
CHANNELS = 4
FIRST_SECOND = 1.0
"""What comes in it is left out: the queue is not yet at its length."""

TICK_SECONDS = 0.005


@dataclass(slots=True)
class Outcome:
    """How the requests of one turn ended."""

    capacity: float
    ends: Counter[str] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)
    within: int = 0
    seconds: float = 1.0
    last_after: float = 0.0

    @property
    def goodput(self) -> float:
        """Good answers a second against the capacity."""
        return self.within / self.seconds / self.capacity


async def overload(
    side: Side,
    model: Measured,
    outcome: Outcome,
    times: float,
    seconds: float,
    deadline: float | None,
) -> None:
    """Send at so many times the capacity, and wait for every answer."""
    message, pace = grpc_message(model), outcome.capacity * times
    options = [NO_PROXY, ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    async with contextlib.AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(side.grpc, options=options))
            for _ in range(CHANNELS)
        ]
        calls: list[Any] = [channel.unary_unary(load.PATH) for channel in channels]
        start = time.perf_counter()
        end = start + seconds

        async def one(number: int) -> None:
            sent = time.perf_counter()
            try:
                await calls[number % CHANNELS](message, timeout=deadline)
            except grpc.aio.AioRpcError as error:
                outcome.ends[error.code().name] += 1
                return
            now = time.perf_counter()
            outcome.ends["OK"] += 1
            outcome.took.append(now - sent)
            outcome.within += start + FIRST_SECOND <= now <= end

        sent = 0
        async with asyncio.TaskGroup() as group:
            while (now := time.perf_counter()) < end:
                due = int((now - start) * pace)
                for number in range(sent, due):
                    group.create_task(one(number))
                sent = due
                await asyncio.sleep(TICK_SECONDS)
        outcome.last_after = time.perf_counter() - end
    outcome.seconds = seconds - FIRST_SECOND


def capacity_of(side: Side, model: Measured) -> float:
    """Answers a second in a closed loop with 8 in flight."""
    body = load.grpc_frame(grpc_message(model))
    pace = load.run(side.grpc, body, CAPACITY_IN_FLIGHT, CAPACITY_IN_FLIGHT * 4).rate
    requests = max(CAPACITY_IN_FLIGHT * 6, int(pace * 1.5))
    return load.run(side.grpc, body, CAPACITY_IN_FLIGHT, requests).rate


def turn(
    side: Side, model: Measured, times: float, seconds: float, deadline: float | None
) -> Outcome:
    """Measure the capacity, then the goodput. Raises RuntimeError where the server counted otherwise."""
    capacity = capacity_of(side, model)
    outcome = Outcome(capacity)
    before = side.successes([model.name])
    asyncio.run(overload(side, model, outcome, times, seconds, deadline))
    side.settle(5)
    counted = side.successes([model.name]) - before
    answered = outcome.ends["OK"]
    if counted < answered or (deadline is None and counted != answered):
        raise RuntimeError(f"{side.name} counts {counted} well answered, and {answered} were")
    outcome.capacity = (capacity + capacity_of(side, model)) / 2
    return outcome


def show(side: Side, name: str, outcomes: Sequence[Outcome]) -> None:
    """Print the medians of a server's turns."""
    goodputs = [outcome.goodput for outcome in outcomes]
    took = [second for outcome in outcomes for second in outcome.took] or [0.0]
    p50, p99 = np.percentile(took, [50, 99])
    ends = sum((outcome.ends for outcome in outcomes), Counter())
    told = ", ".join(f"{count / ends.total():.0%} {code}" for code, count in ends.most_common())
    capacity = statistics.median(outcome.capacity for outcome in outcomes)
    last = statistics.median(outcome.last_after for outcome in outcomes)
    print(
        f"{side.name:14}{name:16}{statistics.median(goodputs):8.2f} "
        f"({min(goodputs):.2f}..{max(goodputs):.2f}) of {capacity:,.1f}/s; p50 {p50:.2f} s, "
        f"p99 {p99:.2f} s, last {last:.1f} s after; {told}"
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--old", type=Path, help="another checkout, with its .venv")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=HOST:PORT[@PID]")
    parser.add_argument("--model", default="encoder")
    parser.add_argument("--times", type=float, default=2.0, help="the capacity")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--deadline", type=float, default=1.0)
    arguments = parser.parse_args()
    load.require_h2load()
    model = next(model for model in models.ALL if model.name == arguments.model)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        checkouts = {"headrace": HERE} | ({"old": arguments.old.resolve()} if arguments.old else {})
        sides = [peer_side(text) for text in arguments.peer]
        for name, checkout in reversed(checkouts.items()):
            suite = stack.enter_context(open_suite_of(name, checkout, folder / name))
            suite.push(model)
            suite.side.settle()
            sides.insert(0, suite.side)
        kinds = {"no deadline": None, f"{arguments.deadline:g} s": arguments.deadline}
        found: dict[tuple[str, str], list[Outcome]] = {}
        for number in range(arguments.rounds):
            print(f"round {number + 1} of {arguments.rounds}", flush=True)
            for kind, deadline in kinds.items():
                for side in sides:
                    outcome = turn(side, model, arguments.times, arguments.seconds, deadline)
                    found.setdefault((side.name, kind), []).append(outcome)
        print(f"\ngoodput of {model.name} at {arguments.times:g} times the capacity")
        for kind in kinds:
            for side in sides:
                show(side, kind, found[side.name, kind])
    return 0


if __name__ == "__main__":
    sys.exit(main())
