"""Checking artifacts in child processes: in turns, within limits, and once for the same bytes.

Most checks take a second or two. One that takes longer moves aside, where as many again may run, or is
begun anew there when there is room: it holds up its own kind, and nobody who pushes an ordinary model.
Artifacts that may take much memory are checked one at a time.
"""

from __future__ import annotations

import shutil
import signal
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from headrace import errors
from headrace_registry.adapters.checks.limits import CheckLimits
from headrace_registry.adapters.checks.process import Outcome, open_check
from headrace_registry.adapters.checks.results import CheckResults, key_of
from headrace_registry.adapters.checks.task import (
    OUT_OF_MEMORY,
    CheckReport,
    CheckTask,
    Phase,
    error_of,
)
from headrace_registry.adapters.checks.unpack import UnpackLimits, put_graph
from headrace_registry.adapters.threads import run_uncancelled
from headrace_registry.domain.pushes.artifacts import Checked, Format, Pushed, RequestedOptions
from headrace_registry.domain.pushes.fair_places import FairPlaces

QUICK_SECONDS = 5.0
"""After which a check moves aside."""
MAX_WAITING = 8
"""Of slow checks, and of large ones: each holds a place among the pushes, which others need."""
_ASIDE_SHARE = 3.0
"""Of its time, by the clock: what gives way to others is bounded by the processor time it takes."""
_BUSY_SECONDS = 30.0
_MOST_KNOWN = 1000
_MEMORY_SIGNS = (b"bad_alloc", b"MemoryError", b"Cannot allocate memory", b"failed to map segment")


class ProcessChecker:
    """Runs a child process for each check; none outlives its check."""

    def __init__(
        self,
        limits: CheckLimits,
        room: Callable[[], int],
        threads: ThreadPoolExecutor,
        quick_seconds: float = QUICK_SECONDS,
    ) -> None:
        """`room` tells how many bytes may be written to the disk; `threads` see to the children."""
        self._limits = limits
        self._room = room
        self._threads = threads
        self._quick_seconds = quick_seconds
        self._quick = FairPlaces(limits.at_a_time)
        self._slow = FairPlaces(limits.at_a_time)
        self._large = FairPlaces(1)
        self._results = CheckResults()
        self._slow_before: OrderedDict[str, None] = OrderedDict()

    def admit(self, size: int, file_format: Format) -> None:
        """Refuse what no check could take. Raises ResourceExhausted."""
        self._limits.admit(size, file_format)

    async def check(self, pushed: Pushed, folder: Path, asked: RequestedOptions) -> Checked:
        """Unpack a pushed file into `folder`, check it and what is asked. Waits while too many are checked.

        Raises InvalidArgument for what is refused, ResourceExhausted for what unpacks to too much,
        FailedPrecondition (CUSTOM_OPERATORS_UNAVAILABLE), and
        InvalidArgument (MODEL_CHECK_TIMEOUT, MODEL_CHECK_OUT_OF_MEMORY, MODEL_CHECK_FAILED) for what
        brought the child down.
        """
        task = self._task(pushed, folder, asked)
        if asked.session.custom_operators:  # libraries change
            return _checked(await self._report(task, pushed))
        key = key_of(pushed, asked)
        async with self._results.alone(key):
            known = self._results.find(key)
            report = known or await self._report(task, pushed)
            if report.is_lasting:
                self._results.keep(key, report)
        if known is not None and known.checked is not None:
            report = await self._unpacked(known, task, pushed)
        return _checked(report)

    async def _unpacked(self, known: CheckReport, task: CheckTask, pushed: Pushed) -> CheckReport:
        """Make the folder that was checked before."""
        if known.rewritten:
            return await self._report(task, pushed)
        if pushed.format is Format.ONNX:
            await run_uncancelled(put_graph, pushed.file, Path(task.folder))
            return known
        report = await self._report(replace(task, unpack_only=True), pushed)
        return known if report.refusal is None else report

    def _task(self, pushed: Pushed, folder: Path, asked: RequestedOptions) -> CheckTask:
        libraries = self._limits.custom_operators
        task = CheckTask(
            file=str(pushed.file),
            file_format=pushed.format,
            folder=str(folder),
            unpack=UnpackLimits(
                total_bytes=self._limits.unpacked_bytes,
                files=self._limits.files,
                disk_bytes=0,
                expansion=self._limits.expansion,
            ),
            foreseen_bytes=0,
            memory_bytes=0,
            address_bytes=0,
            seconds=self._limits.seconds_for(pushed.size_bytes),
            asked=asked,
            custom_operators=None if libraries is None else str(libraries.absolute()),
            trial_seconds=self._limits.trial_seconds,
        )
        return self._sized(task, max(pushed.size_bytes, self._limits.ordinary_bytes()))

    def _with_room(self, task: CheckTask) -> CheckTask:
        """The task, bounded by what the disk has room for now: it may have waited for a while."""
        return replace(task, unpack=replace(task.unpack, disk_bytes=max(0, self._room())))

    def _sized(self, task: CheckTask, size: int) -> CheckTask:
        return replace(
            task,
            foreseen_bytes=size,
            memory_bytes=self._limits.memory_for(size),
            address_bytes=self._limits.address_space_for(size),
        )

    async def _report(self, task: CheckTask, pushed: Pushed) -> CheckReport:
        report = await self._attempt(task, pushed)
        if report.unforeseen_bytes:  # it was packed: begin again with what that takes
            await _clear(task)
            seconds = self._limits.seconds_for(report.unforeseen_bytes)
            task = replace(self._sized(task, report.unforeseen_bytes), seconds=seconds)
            report = await self._attempt(task, pushed)
        return report

    async def _attempt(self, task: CheckTask, pushed: Pushed) -> CheckReport:
        outcome = await self._outcome(task, pushed)
        if outcome.report is None and outcome.phase is Phase.COMPARING:
            # Rows are compared for the sake of speed: what that brings down is taken without it.
            await _clear(task)
            outcome = await self._outcome(replace(task, compares_rows=False), pushed)
        return self._read(task, outcome)

    async def _outcome(self, task: CheckTask, pushed: Pushed) -> Outcome:
        if self._limits.is_large(task.foreseen_bytes):
            return await self._run_in(self._large, task, pushed.model)
        if pushed.sha256 not in self._slow_before:
            outcome = await self._run_quickly(task, pushed)
            if outcome is not None:
                return outcome
            await _clear(task)
        return await self._run_in(self._slow, task, pushed.model)

    async def _run_in(self, places: FairPlaces, task: CheckTask, owner: str) -> Outcome:
        if places.waiting >= MAX_WAITING:
            raise _busy()
        with ExitStack() as place:
            await places.take(owner)
            place.callback(places.give_back, owner)
            async with open_check(self._with_room(task), self._threads) as child:
                child.give_way()
                return await child.finish(_ASIDE_SHARE * task.seconds)

    async def _run_quickly(self, task: CheckTask, pushed: Pushed) -> Outcome | None:
        """Run it among the quick ones, and then on among the slow ones; None where these have no place."""
        owner = pushed.model
        with ExitStack() as place:
            await self._quick.take(owner)
            place.callback(self._quick.give_back, owner)
            async with open_check(self._with_room(task), self._threads) as child:
                quick = min(self._quick_seconds, task.seconds)
                if outcome := await child.wait(quick):
                    return outcome
                self._note_slow(pushed)
                if not self._slow.take_nowait(owner):
                    return None
                place.close()
                place.callback(self._slow.give_back, owner)
                child.give_way()
                return await child.finish(_ASIDE_SHARE * task.seconds - quick)

    def _note_slow(self, pushed: Pushed) -> None:
        """Who pushes the same bytes again takes no place of the quick ones."""
        self._slow_before[pushed.sha256] = None
        if len(self._slow_before) > _MOST_KNOWN:
            self._slow_before.popitem(last=False)

    def _read(self, task: CheckTask, outcome: Outcome) -> CheckReport:
        if outcome.over_time or outcome.status == -signal.SIGXCPU:
            raise _timeout(task, outcome)
        if outcome.report is not None:
            return outcome.report
        for_memory = outcome.over_memory or outcome.status in (OUT_OF_MEMORY, -signal.SIGKILL)
        if for_memory or any(sign in outcome.said for sign in _MEMORY_SIGNS):
            raise _out_of_memory(task, outcome)
        raise errors.InvalidArgument(
            "MODEL_CHECK_FAILED",
            f"the process that checked the model {_ending(outcome.status)} while "
            f"{outcome.phase}: the model is not taken; a replica would fare no better",
            facts={"status": str(outcome.status)},
        )


def _busy() -> errors.ResourceExhausted:
    return errors.ResourceExhausted(
        "CHECKS_BUSY",
        f"checking the model takes long, and {MAX_WAITING} others wait that do, too: push again later, or "
        "run the registry with a larger checks_at_a_time",
        facts={"limit": str(MAX_WAITING), "setting": "checks_at_a_time"},
        retry_after_seconds=_BUSY_SECONDS,
    )


def _checked(report: CheckReport) -> Checked:
    if report.checked is None:
        assert report.refusal is not None
        raise error_of(report.refusal)
    return report.checked


async def _clear(task: CheckTask) -> None:
    """Remove what a check left that is going to be begun again; the pushed file stays."""
    for folder in (task.folder, f"{task.folder}.unpacked"):
        await run_uncancelled(shutil.rmtree, folder, ignore_errors=True)


def _timeout(task: CheckTask, outcome: Outcome) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "MODEL_CHECK_TIMEOUT",
        f"checking the model took more than {task.seconds:.3g} s (the registry's setting check_seconds, "
        f"and more for a large artifact); it was ended while {outcome.phase}: the model is "
        "not taken",
        facts={"limit": f"{task.seconds:.3g}", "setting": "check_seconds"},
    )


def _out_of_memory(task: CheckTask, outcome: Outcome) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "MODEL_CHECK_OUT_OF_MEMORY",
        f"checking the model took more than {task.memory_bytes} bytes of memory (the registry's setting "
        "check_memory_bytes, and more for a large artifact, up to half of the machine's) while "
        f"{outcome.phase}: the model is not taken",
        facts={"limit": str(task.memory_bytes), "setting": "check_memory_bytes"},
    )


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    return f"was ended by {signal.Signals(-status).name}"
