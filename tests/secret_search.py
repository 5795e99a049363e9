"""Looks for secrets where they must not be: command lines, environments, logs, answers, open files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_OTHERS = 0o077


def find_secrets(
    secrets: Mapping[str, str],
    *,
    pids: Iterable[int] = (),
    texts: Mapping[str, str] | None = None,
    folders: Iterable[Path] = (),
) -> list[str]:
    """Where the secrets, by what they are, were found; empty where all is well.

    Looked through are the command line and the environment of each process, `texts` by what they are (logs,
    output), and below `folders` the names of files, and the content of those that others than their owner
    may read.
    """
    places = [*_of_processes(pids), *_encoded(texts or {}), *_of_folders(folders)]
    return [
        f"{name} in {place}"
        for place, content in places
        for name, secret in secrets.items()
        if secret.encode() in content
    ]


def descendants(pid: int) -> set[int]:
    """A process and all that it started, and what these started (Linux only)."""
    found, left = {pid}, [pid]
    while left:
        for task in Path(f"/proc/{left.pop()}/task").glob("*/children"):
            children = {int(word) for word in _read(task).split()} - found
            found |= children
            left += children
    return found


def _of_processes(pids: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    for pid in pids:
        for kind in ("cmdline", "environ"):
            yield f"{kind} of {pid}", _read(Path(f"/proc/{pid}/{kind}"))


def _encoded(texts: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    for name, text in texts.items():
        yield name, text.encode()


def _of_folders(folders: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    for folder in folders:
        for path in folder.rglob("*"):
            yield f"the name {path}", str(path).encode()
            if path.is_file() and not path.is_symlink() and path.stat().st_mode & _OTHERS:
                yield f"{path}, which others may read", _read(path)


def _read(path: Path) -> bytes:
    """What a file holds; nothing where it went meanwhile."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
