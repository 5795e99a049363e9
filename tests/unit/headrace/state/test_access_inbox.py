"""The folder by which keys get into a registry: who left a file counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace import errors
from headrace.state.access_inbox import FOLDER, PostedKey, post, posted

KEY = PostedKey("abcd1234", "root", "digest", 1.0)


def test_what_was_left_is_found(tmp_path: Path) -> None:
    """By its file, in the order of the ids; a file that is not whole has another name."""
    file = post(tmp_path, KEY)
    (tmp_path / FOLDER / ".half").write_text("{")
    assert [(file, KEY)] == list(posted(tmp_path))


def test_nothing_was_left(tmp_path: Path) -> None:
    """As in most folders."""
    assert [] == list(posted(tmp_path))


@pytest.mark.parametrize("others", [0o666, 0o620, 0o602])
def test_a_file_that_others_may_write_is_not_taken(tmp_path: Path, others: int) -> None:
    """Whoever could write it could make himself admin."""
    post(tmp_path, KEY).chmod(others)
    with pytest.raises(errors.DataLoss, match="not taken in"):
        list(posted(tmp_path))


def test_links_and_what_is_no_key_are_not_taken(tmp_path: Path) -> None:
    """A link could lead to anybody's file."""
    file = post(tmp_path, KEY)
    elsewhere = tmp_path / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    with pytest.raises(errors.DataLoss, match="link"):
        list(posted(tmp_path))
    file.unlink()
    file.write_text("no key")
    file.chmod(0o600)
    with pytest.raises(errors.DataLoss):
        list(posted(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_leaves_keys_for_the_account_of_the_folder(tmp_path: Path) -> None:
    """The registry has to read them, and to delete them: the folder is its, too."""
    os.chown(tmp_path, 1234, 1234)
    file = post(tmp_path / "registry", KEY)
    assert {1234} == {path.stat().st_uid for path in (file, file.parent, file.parent.parent)}
