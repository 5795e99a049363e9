"""One process on a folder."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace import errors
from headrace.service.folder_lock import hold_folder

HOLDS = """
import sys
from pathlib import Path
from headrace.service.folder_lock import hold_folder
with hold_folder(Path(sys.argv[1]), "lock", "a test"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_killed_process_leaves_the_folder_free(tmp_path: Path) -> None:
    """While it lives, the error names it and the folder, and what to do."""
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert b"held\n" == other.stdout.readline()
        with (
            pytest.raises(errors.FailedPrecondition) as caught,
            hold_folder(tmp_path, "lock", "another test"),
        ):
            pass
        other.kill()
    assert "DATA_IN_USE" == caught.value.reason
    for word in (f"a test, process {other.pid} on", str(tmp_path), "--data"):
        assert word in caught.value.message
    with hold_folder(tmp_path, "lock", "another test"):
        text = (tmp_path / "lock").read_text()
    assert text.startswith(f"another test, process {os.getpid()} on")


def test_a_process_that_inherits_the_lock_holds_the_folder(tmp_path: Path) -> None:
    """A server that outlives whoever started it keeps others off its files."""
    with hold_folder(tmp_path, "lock", "a test") as lock:
        server = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"],
            stdin=subprocess.PIPE,
            pass_fds=(lock,),
        )
    with pytest.raises(errors.FailedPrecondition), hold_folder(tmp_path, "lock", "another test"):
        pass
    server.communicate()
    with hold_folder(tmp_path, "lock", "another test"):
        pass


def test_a_file_system_without_locks_is_used_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Some network file systems have none: whoever uses one sees to it that one process has the folder."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with hold_folder(tmp_path, "lock", "a test"):
        assert "no locks" in caplog.text


def test_a_folder_that_cannot_be_made_is_an_error_that_says_so(tmp_path: Path) -> None:
    """A file where a folder should be, or a read-only disk: the error names the folder and the flag."""
    (tmp_path / "file").write_text("")
    holding = hold_folder(tmp_path / "file" / "data", "lock", "a test")
    with pytest.raises(errors.FailedPrecondition, match="--data") as caught, holding:
        pass
    assert "DATA_UNUSABLE" == caught.value.reason
