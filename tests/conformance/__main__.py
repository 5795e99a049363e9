"""The whole of ONNX's backend test suite through Headrace: `python -m tests.conformance --help`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.bare import Examined
from tests.conformance.batching import KIND as ROWS
from tests.conformance.batching import is_proposed, proposed, sharing, with_free_rows
from tests.conformance.calling import open_caller
from tests.conformance.cases import KINDS, load_cases
from tests.conformance.outcomes import Result, Wire
from tests.conformance.running import call_all, examine_all
from tests.conformance.serving import open_in_process, open_whole_suite
from tests.conformance.summary import Summary

SECONDS = 1200.0


def main() -> int:
    """Run, print the table, and say by the exit status whether anything is wrong."""
    chosen = _arguments()
    until = time.monotonic() + chosen.seconds
    cases = [case for case in load_cases(chosen.kind) if chosen.match in case.name]
    with_rows = [rows for case in cases if chosen.batching and (rows := with_free_rows(case))]
    workers = os.cpu_count() or 1
    examined = list(examine_all([*cases, *with_rows], workers, until))
    print(f"{len(examined)} cases examined", flush=True)
    try:
        results = asyncio.run(_run(chosen, examined, until))
    except TimeoutError:
        print(f"not done after {chosen.seconds:g} s (--seconds)", file=sys.stderr)
        return 2
    summary = Summary(examined, results)
    _print(summary)
    if chosen.report:
        chosen.report.write_text(json.dumps(summary.to_json(), indent=1) + "\n")
    return 1 if summary.faults else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--kind", action="append", choices=KINDS, help="only these kinds of cases")
    parser.add_argument("--match", default="", help="only cases whose name has this in it")
    parser.add_argument("--quick", action="store_true", help="serve all in this process: no pushes")
    parser.add_argument("--front", default="auto", help="the gRPC front: auto, native or grpcio")
    parser.add_argument("--no-batching", dest="batching", action="store_false")
    parser.add_argument("--report", type=Path, help="write all results to this file, as JSON")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="give up after so long")
    chosen = parser.parse_args()
    chosen.kind = chosen.kind or KINDS
    return chosen


async def _run(
    chosen: argparse.Namespace, examined: Sequence[Examined], until: float
) -> list[Result]:
    runs = [one for one in examined if one.answers]
    plain = [one for one in runs if one.case.kind != ROWS]
    batched = [one for one in runs if one.case.kind == ROWS and is_proposed(one)]
    async with asyncio.timeout(until - time.monotonic()):
        with tempfile.TemporaryDirectory(prefix="headrace-conformance-") as folder:
            results = await _call_plain(chosen, Path(folder), plain)
        with tempfile.TemporaryDirectory(prefix="headrace-conformance-") as folder:
            return results + await _call_batched(chosen, Path(folder), batched)


async def _call_plain(
    chosen: argparse.Namespace, folder: Path, cases: Sequence[Examined]
) -> list[Result]:
    serving = (
        open_in_process(folder, chosen.front)
        if chosen.quick
        else open_whole_suite(folder, chosen.front)
    )
    async with serving as server, open_caller(server.grpc_address, server.http_address) as caller:
        return [result async for result in call_all(server, caller, cases)]


async def _call_batched(
    chosen: argparse.Namespace, folder: Path, cases: Sequence[Examined]
) -> list[Result]:
    results: list[Result] = []
    async with (
        open_in_process(folder, chosen.front) as server,
        open_caller(server.grpc_address, server.http_address) as caller,
    ):
        for wire, config in ((Wire.ALONE, proposed), (Wire.TOGETHER, sharing)):
            called = call_all(server, caller, cases, (wire,), config)
            results += [result async for result in called]
    return results


def _print(summary: Summary) -> None:
    print(summary.table())
    for title, counts in (("refused", summary.refusals()), ("not run", summary.not_run())):
        print(f"\n{title}:")
        for text, count in counts.most_common():
            print(f"  {count:5}  {text}")
    print(f"\n{len(summary.faults)} faults")
    for fault in summary.faults:
        print(f"  {fault}")


if __name__ == "__main__":
    sys.exit(main())
