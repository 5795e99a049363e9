"""A registry with an audit folder: no change leaves the log before it is in a file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
from headrace.state.stored_changes import ChainCheck, read_file
from headrace_registry.adapters.shared_state import change_log
from headrace_registry.domain.history import audit_export
from tests.rpc.registry_fixtures import RunningRegistry, eventually, running_registry


def lines_of(folder: Path) -> ChainCheck:
    """What the files hold, verified."""
    check = ChainCheck()
    for file in sorted(folder.glob("*.jsonl")):
        for entry, said in read_file(file):
            check.take(entry, said)
    return check


async def make(running: RunningRegistry, *names: str) -> None:
    """Make models."""
    for name in names:
        await running.stub.CreateModel(pb.CreateModelRequest(model={"name": f"models/{name}"}))


def reach(folder: Path) -> int:
    """The last revision in the files."""
    last = lines_of(folder).last
    return last.revision if last else 0


async def test_every_change_is_in_the_files(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Those of before the folder was set too; files are private, end at their size, and go on."""
    folder, settings = tmp_path / "audit", {"audit_file_bytes": 1}
    async with running_registry(redis_url, namespace, tmp_path / "data") as running:
        await make(running, "before")
    for names in (("one", "two"), ("three",)):
        async with running_registry(
            redis_url, namespace, tmp_path / "data", audit_folder=folder, **settings
        ) as running:
            await make(running, *names)
            revision = (await running.stub.ListModels(pb.ListModelsRequest())).revision
            await eventually(lambda wanted=revision: wanted == reach(folder))  # type: ignore[misc]
    check = lines_of(folder)
    assert ([], [], 4) == (check.breaks, check.notes, check.count)
    files = sorted(folder.iterdir())
    assert len(files) >= 2
    assert "000001-changes-1.jsonl" == files[0].name
    assert {0o600} == {file.stat().st_mode & 0o777 for file in files}
    assert 0o700 == folder.stat().st_mode & 0o777


async def test_a_line_that_was_cut_is_written_again(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """As a registry leaves it that was killed while it wrote."""
    folder = tmp_path / "audit"
    async with running_registry(
        redis_url, namespace, tmp_path / "data", audit_folder=folder
    ) as running:
        await make(running, "one", "two")
        await eventually(lambda: 2 == reach(folder))
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    async with running_registry(redis_url, namespace, tmp_path / "data", audit_folder=folder):
        await eventually(lambda: file.read_bytes().endswith(b"}\n") and 2 == reach(folder))
    assert ([], 2) == (lines_of(folder).breaks, lines_of(folder).count)


async def test_the_log_waits_for_files_that_cannot_be_written(
    redis_url: str,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is trimmed when they were written, or when too many wait; the registry says so and serves on."""
    monkeypatch.setattr(change_log, "CHANGES_KEPT", 1)
    monkeypatch.setattr(
        change_log.RedisChangeLog.__init__, "__defaults__", (1, change_log.BYTES_KEPT)
    )
    monkeypatch.setattr(audit_export, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(audit_export, "MOST_WAITING", 300)
    folder, keys = tmp_path / "audit", Keys(namespace)
    folder.write_text("a file is in the way")
    async with (
        open_redis(redis_url) as redis,
        running_registry(redis_url, namespace, tmp_path / "data", audit_folder=folder) as running,
    ):
        await make(running, *(f"a{number}" for number in range(250)))
        waiting: Any = await redis.xlen(keys.changes)
        folder.unlink()
        await eventually(lambda: folder.is_dir() and 250 == reach(folder))
        await make(running, *(f"b{number}" for number in range(120)))
        trimmed: Any = await redis.xlen(keys.changes)
        await eventually(lambda: 370 == reach(folder))
    assert 250 == waiting
    assert trimmed < 250, "Redis trims a hundred at a time"
    assert ([], 370) == (lines_of(folder).breaks, lines_of(folder).count)
    told = [each for each in caplog.records if "audit files cannot be written" in each.message]
    assert [logging.ERROR] == [each.levelno for each in told]
