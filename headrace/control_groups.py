"""CPU quotas of Linux control groups, versions 1 and 2: the process's own group and all above it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

HIERARCHIES = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")
"""A line for each hierarchy, `number:controllers:group`; version 2 has no controllers there."""

_NO_QUOTA = ("max", "-1")


def cpu_quota(hierarchies: Path = HIERARCHIES, own_groups: Path = OWN_GROUPS) -> float | None:
    """How many cores the tightest quota pays for; None where there is none.

    A container sees its own group as the root of a hierarchy, whatever its name outside, so the root's
    quota counts always.
    """
    folders = [
        folder for each in _memberships(own_groups) for folder in _folders(hierarchies, *each)
    ]
    quotas = [quota for folder in dict.fromkeys(folders) if (quota := _quota_of(folder))]
    return min(quotas, default=None)


def _memberships(own_groups: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """The controllers ('' in version 2) and the group of each hierarchy that may limit the CPU."""
    yield from (("", PurePosixPath("/")), ("cpu", PurePosixPath("/")))
    for line in (_text(own_groups) or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers or "cpu" in controllers.split(","):
            yield controllers, PurePosixPath(group)


def _folders(hierarchies: Path, controllers: str, group: PurePosixPath) -> Iterator[Path]:
    """Where the group and those above it may lie: hierarchies are mounted under several names."""
    names = {controllers, "cpu", "cpu,cpuacct", "cpuacct,cpu"} if controllers else {"", "unified"}
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
