"""What a process says by itself of where a version is from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from headrace.lifecycle.versions import made_here, source_revision


def git(folder: Path, *arguments: str) -> str:
    said = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *said, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def work_tree(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "train.py").write_text("1\n")
    git(tmp_path, "add", "train.py")
    git(tmp_path, "commit", "-q", "-m", "Train")
    git(tmp_path, "tag", "v1")
    return tmp_path


def test_the_source_is_the_commit_and_says_where_files_differ_from_it(work_tree: Path) -> None:
    """A tag does not hide it; files that Git does not know change nothing."""
    (work_tree / "model.onnx").write_bytes(b"")
    commit = git(work_tree, "rev-parse", "HEAD")
    clean = source_revision(work_tree)
    (work_tree / "train.py").write_text("2\n")
    assert (commit, f"{commit}-dirty") == (clean, source_revision(work_tree))


def test_no_source_is_said_outside_of_work_trees(tmp_path: Path) -> None:
    """A folder that is there, and one that is not."""
    assert "" == source_revision(tmp_path)
    assert "" == source_revision(tmp_path / "none")


def test_a_process_says_how_it_makes_a_version(
    work_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its command line and its folder's commit, unless other things are said."""
    monkeypatch.chdir(work_tree)
    monkeypatch.setattr("sys.argv", ["train.py", "--note", "two words"])
    said = made_here("train", data_digest="a" * 64)
    assert git(work_tree, "rev-parse", "HEAD") == said.source_revision
    assert said.command.endswith(" train.py --note 'two words'")
    assert ("train", "a" * 64) == (said.method, said.data_digest)
    assert "r1" == made_here(source_revision="r1").source_revision
