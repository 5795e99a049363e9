"""Where the socket between the native front and the server behind it lies."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest

from headrace.errors import FailedPrecondition
from headrace.service.socket_folders import MAX_SOCKET_PATH_BYTES
from headrace_inference.app.socket_folder import SOCKET_NAME, socket_folder
from headrace_inference.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a replica whose temporary folder is its own."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return Settings(redis_url="redis://unused", registry_address="unused", data=tmp_path / "data")


def test_it_is_private_and_gone_at_the_end(settings: Settings) -> None:
    """Whatever lies in it."""
    with socket_folder(settings) as folder:
        assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
        (folder / "fallback.sock").touch()
    assert not folder.exists()


def test_the_next_life_finds_what_a_killed_one_left(settings: Settings) -> None:
    """It has the same name, so that nothing stays for ever."""
    with socket_folder(settings) as first:
        pass
    first.mkdir(mode=0o700)
    with socket_folder(settings) as second:
        assert first == second


def test_a_folder_that_leads_elsewhere_is_refused(settings: Settings, tmp_path: Path) -> None:
    """Somebody else who made it first would sit between the two."""
    with socket_folder(settings) as folder:
        pass
    folder.symlink_to(tmp_path)
    with pytest.raises(FailedPrecondition) as caught, socket_folder(settings):
        pass
    assert "SOCKET_FOLDER_TAKEN" == caught.value.reason
    assert tmp_path.exists()


def test_a_long_temporary_folder_is_passed_over(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket in it could not be bound; the one taken instead is as private."""
    long = tmp_path / ("a long name " * 10)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with socket_folder(settings) as folder:
        assert len(str(folder / SOCKET_NAME)) <= MAX_SOCKET_PATH_BYTES
        assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
