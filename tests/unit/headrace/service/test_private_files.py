"""Closing what a service has to others, and nothing else."""

from __future__ import annotations

from pathlib import Path

from headrace.service.private_files import make_private


def mode(path: Path) -> int:
    """The permissions of a file."""
    return path.stat().st_mode & 0o777


def tree(folder: Path) -> Path:
    """A folder of a service that is open to all, with a link out of it."""
    (folder / "blobs" / "00").mkdir(parents=True)
    (folder / "blobs" / "00" / "file").write_text("x")
    (folder / "blobs" / "00" / "tool").write_text("x")
    outside = folder.parent / "outside"
    outside.write_text("theirs")
    (folder / "blobs" / "link").symlink_to(outside)
    for path in [folder, *folder.rglob("*"), outside]:
        if not path.is_symlink():
            path.chmod(0o777 if path.is_dir() or path.name == "tool" else 0o666)
    return folder


def test_what_is_there_is_closed_with_all_that_is_in_it(tmp_path: Path) -> None:
    """Rights of the owner stay; links are not followed."""
    data = tree(tmp_path / "data")
    make_private(data, ["blobs"])
    assert (0o700, 0o700, 0o700) == (mode(data), mode(data / "blobs"), mode(data / "blobs/00"))
    assert 0o600 == mode(data / "blobs/00/file")
    assert 0o700 == mode(data / "blobs/00/tool")
    assert 0o666 == mode(tmp_path / "outside")


def test_a_folder_with_other_things_in_it_stays_open(tmp_path: Path) -> None:
    """Somebody may give their home, or the folder they are in, as the data folder."""
    data = tree(tmp_path / "home")
    (data / "letters").mkdir(mode=0o755)
    make_private(data, ["blobs"])
    assert (0o777, 0o700) == (mode(data), mode(data / "blobs"))
    assert 0o755 == mode(data / "letters")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """It is made later."""
    make_private(tmp_path / "none", ["blobs"])
    assert not (tmp_path / "none").exists()
