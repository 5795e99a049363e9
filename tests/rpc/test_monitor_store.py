"""What the monitor keeps: over a kill, beside a second monitor, and when its file is damaged."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from headrace import errors
from headrace.monitor.v1 import monitor_service_pb2, monitor_service_pb2_grpc
from headrace.telemetry.measures import SUCCESSES
from headrace_monitor.adapters.window_store import FILE_NAME, WindowStore, open_window_store
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.ledger.ledger import Ledger, LedgerSnapshot
from headrace_monitor.domain.ledger.windows import WindowKey, resolutions
from headrace_monitor.domain.replicas.replica_sessions import ReplicaSession, SessionKey
from headrace_monitor.domain.telemetry.report import Report, VersionTelemetry
from headrace_monitor.domain.telemetry.tally import Tally
from tests.rpc.monitors import (
    MILLISECOND,
    NOW,
    SECOND,
    FakeClock,
    report,
    running_monitor,
    telemetry,
)


def at(time_ns: int) -> Moment:
    """A moment at which both times agree."""
    return Moment(time_ns, time_ns)


def some_changes(sequences: int = 3) -> LedgerSnapshot:
    """What a ledger gives to store after some reports."""
    ledger = Ledger(resolutions(24), 2**30, LedgerSnapshot(), at(NOW))
    for sequence in range(1, sequences + 1):
        version = VersionTelemetry.of("digits", 1, Tally({SUCCESSES: sequence}))
        end_ns = NOW - sequence * SECOND
        ledger.merge(Report("a", "boot", sequence, end_ns, end_ns, (version,), sequence), at(NOW))
    return ledger.checkpoint(at(NOW))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Another opening gives exactly what was saved."""
    changes = some_changes()
    async with open_window_store(tmp_path) as (store, snapshot):
        assert LedgerSnapshot() == snapshot
        await store.save(changes)
    async with open_window_store(tmp_path) as (_, snapshot):
        pass
    assert (changes.windows, changes.sessions) == (snapshot.windows, snapshot.sessions)
    assert (changes.totals, changes.reports) == (snapshot.totals, snapshot.reports)
    assert (changes.dropped, changes.opened) == (snapshot.dropped, snapshot.opened)
    assert changes.window_floors == snapshot.window_floors
    assert changes.steady_ns == snapshot.steady_ns


async def test_what_was_dropped_is_gone(tmp_path: Path) -> None:
    """Windows and sessions that were dropped are deleted, with what their replicas dropped."""
    async with open_window_store(tmp_path) as (store, _):
        await store.save(some_changes())
        now = NOW // SECOND
        windows = {WindowKey(1, now - 4), WindowKey(10, now - 10)}
        gone = frozenset(windows), frozenset({SessionKey("a", "boot")})
        await store.save(
            LedgerSnapshot(gone_windows=gone[0], gone_sessions=gone[1], is_checkpoint=True)
        )
    async with open_window_store(tmp_path) as (_, snapshot):
        pass
    assert {(1, now - 3), (1, now - 2), (60, now - now % 60)} == {
        (window.resolution, window.start) for window in snapshot.windows
    }
    assert ({}, {}) == (snapshot.sessions, snapshot.dropped)


async def test_versions_that_were_silent_are_gone(tmp_path: Path) -> None:
    """Totals that were dropped are deleted."""
    changes = some_changes()
    async with open_window_store(tmp_path) as (store, _):
        await store.save(changes)
        await store.save(LedgerSnapshot(gone_totals=frozenset(changes.totals), is_checkpoint=True))
    async with open_window_store(tmp_path) as (_, snapshot):
        assert {} == snapshot.totals


async def test_a_session_far_along_is_kept_exactly(tmp_path: Path) -> None:
    """The numbers merged in a long session come back bit by bit."""
    session = ReplicaSession()
    for sequence in (*range(1, 6000, 3), 2**40):
        session = session.after(Report("a", "boot", sequence, NOW, NOW), NOW)
    async with open_window_store(tmp_path) as (store, _):
        await store.save(
            LedgerSnapshot(sessions={SessionKey("a", "boot"): session}, is_checkpoint=True)
        )
    async with open_window_store(tmp_path) as (_, snapshot):
        pass
    assert {SessionKey("a", "boot"): session} == snapshot.sessions


async def limit_pages(store: WindowStore, pages: int) -> None:
    pragma = f"PRAGMA max_page_count = {pages}"
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(store._thread, store._database.execute, pragma)


async def test_a_full_disk_is_unavailable_and_heals(tmp_path: Path) -> None:
    """A write that does not fit changes nothing and asks to come again; with space it succeeds."""
    async with open_window_store(tmp_path) as (store, _):
        await limit_pages(store, 1)
        with pytest.raises(errors.Unavailable) as caught:
            await store.save(some_changes(500))
        assert ("TELEMETRY_STORE_UNAVAILABLE", 1.0) == (
            caught.value.reason,
            caught.value.retry_after_seconds,
        )
        await limit_pages(store, 100_000)
        await store.save(some_changes(500))
    async with open_window_store(tmp_path) as (_, snapshot):
        assert 500 == snapshot.reports


async def test_two_monitors_on_one_folder_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second opening fails with the folder's name and what to do."""
    monkeypatch.setattr("headrace_monitor.adapters.window_store.LOCK_TIMEOUT_SECONDS", 0.05)
    async with open_window_store(tmp_path):
        with pytest.raises(errors.FailedPrecondition) as caught:
            async with open_window_store(tmp_path):
                pass
    assert ("DATA_IN_USE", {"folder": str(tmp_path)}) == (caught.value.reason, caught.value.facts)


async def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """A folder that cannot be made is named in the error."""
    (tmp_path / "file").touch()
    with pytest.raises(errors.FailedPrecondition) as caught:
        async with open_window_store(tmp_path / "file" / "data"):
            pass
    assert "DATA_UNUSABLE" == caught.value.reason


async def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """A schema that this version does not know is refused, not overwritten."""
    async with open_window_store(tmp_path):
        pass
    with sqlite3.connect(tmp_path / FILE_NAME) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(errors.FailedPrecondition) as caught:
        async with open_window_store(tmp_path):
            pass
    assert "DATA_FROM_NEWER_VERSION" == caught.value.reason
    assert [FILE_NAME] == names_in(tmp_path)


FIRST_SCHEMA = """
CREATE TABLE cells (
  resolution INTEGER, start INTEGER, model TEXT, version INTEGER, replica TEXT, tally BLOB NOT NULL,
  PRIMARY KEY (resolution, start, model, version, replica)
);
CREATE TABLE lives (
  replica TEXT, boot_id TEXT, highest INTEGER NOT NULL, merged BLOB NOT NULL,
  first_end_ns INTEGER NOT NULL, last_end_ns INTEGER NOT NULL, seen_ns INTEGER NOT NULL,
  dropped_reports INTEGER NOT NULL,
  PRIMARY KEY (replica, boot_id)
);
CREATE TABLE totals (
  model TEXT, version INTEGER, tally BLOB NOT NULL, PRIMARY KEY (model, version)
);
CREATE TABLE dropped (replica TEXT PRIMARY KEY, reports INTEGER NOT NULL);
CREATE TABLE reports (id INTEGER PRIMARY KEY CHECK (id = 1), merged INTEGER NOT NULL);
PRAGMA user_version = 1;
"""
"""What the monitor of version 0.1 wrote."""


THREE_SUCCESSES = "8d37227b00005b5b332c302c305d2c5b302c302c302c305d2c5b7b7d2c7b7d2c7b7d5d5d"
"""A tally as it was encoded then."""


def write_first_schema(path: Path) -> None:
    """A file as the first schema has it: a session that reported once, and what it counted then."""
    tally = bytes.fromhex(THREE_SUCCESSES)
    start = NOW // SECOND - 1
    minute = start - start % 60
    with sqlite3.connect(path) as database:
        database.executescript(FIRST_SCHEMA)
        for resolution, begin in ((1, start), (10, start - start % 10), (60, minute)):
            row = (resolution, begin, "digits", 1, "a", tally)
            database.execute("INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?)", row)
        merged = (1).to_bytes(512, "big")
        session = ("a", "boot", 1, merged, NOW, NOW, NOW, 0)
        database.execute("INSERT INTO lives VALUES (?, ?, ?, ?, ?, ?, ?, ?)", session)
        database.execute("INSERT INTO totals VALUES ('digits', 1, ?)", (tally,))
        database.execute("INSERT INTO dropped VALUES ('a', 2)")
        database.execute("INSERT INTO reports VALUES (1, 1)")
    database.close()


@pytest.mark.parametrize("later", [0, 25 * 3600 * SECOND])
async def test_a_file_of_the_first_schema_is_taken_up(tmp_path: Path, later: int) -> None:
    """What an older monitor stored is there, whatever the clock says; its reports count no second time."""
    write_first_schema(tmp_path / FILE_NAME)
    async with running_monitor(tmp_path, FakeClock(NOW + later)) as monitor:
        await monitor.send([report("a", 1, telemetry([MILLISECOND]))])
        answer = await monitor.query(end_time={"seconds": NOW // SECOND})
        await monitor.send([report("a", 2, telemetry([MILLISECOND]), end_ns=NOW + later)])
    async with running_monitor(tmp_path, FakeClock(NOW + later)) as monitor:
        again = await monitor.query(end_time={"seconds": (NOW + later) // SECOND})
        _, page = await monitor.get("/metrics")
    assert ([3], []) == ([each.success_count for each in answer.statistics], list(answer.gaps))
    assert [1 if later else 4] == [each.success_count for each in again.statistics]
    assert 'headrace_monitor_dropped_reports_total{replica="a"} 2.0' in page
    assert "headrace_monitor_reports_total 2.0" in page


def overwrite_everything(path: Path) -> None:
    path.write_bytes(b"this is no database. " * 1000)


def overwrite_the_middle(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[4096:] = os.urandom(len(whole) - 4096)
    path.write_bytes(whole)


def change_a_tally(path: Path) -> None:
    with sqlite3.connect(path) as database:
        (cells,) = database.execute("SELECT cells FROM windows WHERE resolution = 60").fetchone()
        changed = cells[:-1] + bytes([cells[-1] ^ 1])
        database.execute("UPDATE windows SET cells = ? WHERE resolution = 60", (changed,))
    database.close()


def change_a_series(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE windows SET cells = x'00112233445566' WHERE resolution = 60")
    database.close()


def add_a_report(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO journal (report) VALUES (x'0011223344556677')")
    database.close()


def cut_it_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    "damage",
    [
        *(overwrite_everything, overwrite_the_middle, cut_it_short),
        *(change_a_tally, change_a_series, add_a_report),
    ],
)
async def test_a_damaged_file_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    """The monitor starts anew beside the damaged file, and an error says where that is."""
    async with running_monitor(tmp_path) as monitor:
        await monitor.send(
            [report("a", n, telemetry([MILLISECOND], version=n)) for n in range(1, 50)]
        )
    damage(tmp_path / FILE_NAME)
    async with running_monitor(tmp_path) as monitor:
        assert [] == list((await monitor.query()).statistics)
        await monitor.send([report("a", 1, telemetry([MILLISECOND]))])
        assert [1] == [each.success_count for each in (await monitor.query()).statistics]
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert 1 == len(logged)
    set_aside = Path(vars(logged[0])["set_aside"]).name
    assert set_aside.startswith(f"{FILE_NAME}.damaged-")
    assert set_aside in names_in(tmp_path)


async def test_old_telemetry_leaves_the_file(tmp_path: Path) -> None:
    """What grew too old is deleted with the next report."""
    clock = FakeClock()
    async with running_monitor(tmp_path, clock) as monitor:
        await monitor.send([report("a", 1, telemetry([MILLISECOND]))])
        clock.pass_by(25 * 3600 * SECOND)
        await monitor.send([report("b", 1, end_ns=clock.now_ns())])
    async with open_window_store(tmp_path) as (_, snapshot):
        pass
    assert {} == snapshot.windows
    assert [SessionKey("b", "boot")] == list(snapshot.sessions)


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """A monitor killed between two reports has every report that it acknowledged."""
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headrace_monitor", "--data", str(tmp_path)),
        *("--grpc-port", "0", "--http-port", "0", "--ready-fd", str(writing)),
        pass_fds=(writing,),
    )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        address = json.loads(pipe.readline())["grpc"]
    acknowledged = await _send_and_kill(address, process)
    await process.wait()
    async with open_window_store(tmp_path) as (_, snapshot):
        ledger = Ledger(resolutions(24), 2**30, snapshot, at(time.time_ns()))
    session = ledger.sessions[SessionKey("a", "boot")]
    (tally,) = ledger.totals.versions.values()
    assert 20 == len(acknowledged)
    assert all(map(session.has, acknowledged))
    assert tally[SUCCESSES] >= len(acknowledged)


async def _send_and_kill(address: str, process: asyncio.subprocess.Process) -> list[int]:
    acknowledged: list[int] = []
    async with grpc.aio.insecure_channel(address) as channel:
        stream = monitor_service_pb2_grpc.MonitorServiceStub(channel).ReportTelemetry()
        try:
            for number in range(1, 21):
                message = report("a", number, telemetry([MILLISECOND]))
                await stream.write(monitor_service_pb2.ReportTelemetryRequest(report=message))
                answer = await stream.read()
                assert isinstance(answer, monitor_service_pb2.ReportTelemetryResponse)
                acknowledged.append(answer.sequence)
        finally:
            process.kill()
    return acknowledged
