"""CPU quotas and memory limits of Linux control groups, versions 1 and 2: the own group and all above."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

HIERARCHIES = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")
"""A line for each hierarchy, `number:controllers:group`; version 2 has no controllers there."""

_NO_QUOTA = ("max", "-1")
_MEMORY_LIMITS = ("memory.max", "memory.limit_in_bytes")


def cpu_quota(hierarchies: Path = HIERARCHIES, own_groups: Path = OWN_GROUPS) -> float | None:
    """Return how many cores the tightest quota pays for; None where there is none.

    A container sees its own group as the root of a hierarchy, whatever its name outside, so the root's
    quota counts always.
    """
    folders = _groups("cpu", hierarchies, own_groups)
    return min((quota for folder in folders if (quota := _quota_of(folder))), default=None)


def memory_limit(hierarchies: Path = HIERARCHIES, own_groups: Path = OWN_GROUPS) -> int | None:
    """Return how many bytes the tightest limit allows; None where there is none."""
    folders = _groups("memory", hierarchies, own_groups)
    texts = (_text(folder / name) for folder in folders for name in _MEMORY_LIMITS)
    return min((int(text) for text in texts if text and text not in _NO_QUOTA), default=None)


def _groups(controller: str, hierarchies: Path, own_groups: Path) -> Iterable[Path]:
    memberships = _memberships(controller, own_groups)
    found = (folder for each in memberships for folder in _folders(hierarchies, *each))
    return dict.fromkeys(found)


def _memberships(controller: str, own_groups: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """The controllers ('' in version 2) and the group of each hierarchy that may have this limit."""
    yield from (("", PurePosixPath("/")), (controller, PurePosixPath("/")))
    for line in (_text(own_groups) or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers or controller in controllers.split(","):
            yield controllers, PurePosixPath(group)


def _folders(hierarchies: Path, controllers: str, group: PurePosixPath) -> Iterator[Path]:
    """Yield where the group and those above it may lie: hierarchies are mounted under several names."""
    names = {controllers, *controllers.split(",")} if controllers else {"", "unified"}
    if "cpu" in names:
        names |= {"cpu,cpuacct", "cpuacct,cpu"}
    # A group outside of the process's namespace is shown from its root: /../other.
    parts = [part for part in group.parts if part not in ("/", "..")]
    for name in sorted(names):
        for depth in range(len(parts) + 1):
            yield hierarchies.joinpath(name, *parts[:depth])


def _quota_of(folder: Path) -> float | None:
    """A group's own quota in cores: microseconds granted in each period."""
    both = _text(folder / "cpu.max")
    if both is None:
        granted, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    else:
        granted, _, period = both.partition(" ")
    if not granted or not period or granted in _NO_QUOTA:
        return None
    return int(granted) / int(period)


def _text(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:  # another version, another system, or not ours to read
        return None
