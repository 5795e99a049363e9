"""What does it cost the monitor to evaluate the rules of alerts?

    python -m benchmarks.alert_rules [--versions 1000] [--seconds 310] [--rounds 5]

A ledger with so many versions that answered 100 requests in each of the last seconds, all in this process.
Printed is the processor time of one evaluation: of the shipped rules, with an objective for all models that
is kept, and with one that is missed by one model in a hundred, for which the long windows are added up.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from headrace.alert_rules.rules_file import read_rules
from headrace.telemetry.histogram import Histogram
from headrace.telemetry.measures import ERRORS, SUCCESSES, TOTAL_TIME
from headrace_monitor.domain.alerts.alert_book import AlertBook
from headrace_monitor.domain.alerts.evaluator import Evaluator
from headrace_monitor.domain.alerts.figures import Sources
from headrace_monitor.domain.alerts.known_figures import LedgerFigures, SessionGaps
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.ledger.ledger import Ledger, LedgerSnapshot
from headrace_monitor.domain.ledger.windows import resolutions
from headrace_monitor.domain.queries.query_engine import QueryEngine
from headrace_monitor.domain.telemetry.report import Report, VersionTelemetry
from headrace_monitor.domain.telemetry.tally import Tally

SECOND = 1_000_000_000
BEGAN = 1_700_000_000 * SECOND
REQUESTS = 100
OBJECTIVE = """
[[rules]]
name = "answers"
kind = "objective"
target = 0.999
"""


class Applied:
    """Runs changes of the book at once: storing is measured by benchmarks.monitor_reports."""

    async def apply(self, change: Callable[[], Any]) -> Any:
        """Run a change."""
        return change()


def tally(seed: int, failed: int) -> Tally:
    """What a version did in a second."""
    times = Histogram()
    times.record(np.random.default_rng(seed).lognormal(14, 0.7, REQUESTS).astype(np.int64))
    counts = {"RUN_FAILED": failed} if failed else {}
    return Tally({SUCCESSES: REQUESTS, ERRORS: counts, TOTAL_TIME: times})


def filled(versions: int, seconds: int, failing: int) -> Ledger:
    """A ledger in which all versions answered all the time, and the first `failing` failed, too."""
    ledger = Ledger(resolutions(24), 2**31, LedgerSnapshot(), Moment(BEGAN, BEGAN))
    told = [
        VersionTelemetry.of(f"model-{number}", 1, tally(number, 30 if number < failing else 0))
        for number in range(versions)
    ]
    for second in range(1, seconds + 1):
        now = BEGAN + second * SECOND
        report = Report("a", "boot", second, now - SECOND, now, tuple(told))
        ledger.merge(report, Moment(now, now))
    return ledger


async def evaluated(ledger: Ledger, now_ns: int, rules: str, rounds: int) -> float:
    """Milliseconds of processor time of an evaluation: the median of some, after a first."""

    def clock() -> Moment:
        return Moment(now_ns, now_ns)

    with ThreadPoolExecutor(1) as questions:
        engine = QueryEngine(ledger, clock, questions)
        book = AlertBook()
        book.set_rules(rules, "")
        book.budgets.counted_hour = now_ns // SECOND // 3600 - 1
        sources = Sources(LedgerFigures(engine, 86_400), SessionGaps(ledger, clock))
        applied: Any = Applied()
        evaluator = Evaluator(book, sources, applied, engine, clock, 10.0, lambda: None)
        took = []
        for _ in range(rounds + 1):
            began = time.process_time()
            await evaluator.evaluate()
            took.append(time.process_time() - began)
    return 1000 * statistics.median(took[1:])


def main() -> None:
    """Measure, and print a line each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--versions", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=310)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    now_ns = BEGAN + given.seconds * SECOND
    for failing in (0, given.versions // 100):
        ledger = filled(given.versions, given.seconds, failing)
        for name, rules in (("shipped rules", ""), ("and an objective", OBJECTIVE)):
            read_rules(rules)
            took = asyncio.run(evaluated(ledger, now_ns, rules, given.rounds))
            print(
                f"{given.versions} versions, {failing:3} failing, {name:16}: {took:7.1f} ms an evaluation, "
                f"{took / 100:.2f} % of a core"
            )


if __name__ == "__main__":
    main()
