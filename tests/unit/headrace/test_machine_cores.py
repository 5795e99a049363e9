"""How many cores a process may use, under quotas as kernels, containers and systemd lay them out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from headrace.machine.control_groups import cpu_quota
from headrace.machine.cores import usable_cores, whole_cores

ONE_V1 = {"cpu.cfs_quota_us": "100000", "cpu.cfs_period_us": "100000"}
NONE_V1 = {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}


def below(folder: str, files: Mapping[str, str]) -> dict[str, str]:
    """The files by their paths, below a folder."""
    return {f"{folder}/{name}": text for name, text in files.items()}


LAYOUTS: list[tuple[str, dict[str, str], str, float | None]] = [
    ("a container, version 2", {"cpu.max": "200000 100000"}, "0::/", 2),
    ("no quota, version 2", {"cpu.max": "max 100000"}, "0::/", None),
    ("half a core", {"cpu.max": "50000 100000"}, "0::/", 0.5),
    (
        "a systemd unit",
        {"system.slice/headrace.service/cpu.max": "100000 100000"},
        "0::/system.slice/headrace.service",
        1,
    ),
    (
        "a group above",
        {"a.slice/cpu.max": "150000 100000", "a.slice/b.scope/cpu.max": "max 100000"},
        "0::/a.slice/b.scope",
        1.5,
    ),
    (
        "the tightest counts",
        {"cpu.max": "900000 100000", "a/cpu.max": "300000 100000", "a/b/cpu.max": "400000 100000"},
        "0::/a/b",
        3,
    ),
    ("a name from outside of the container", {"cpu.max": "100000 100000"}, "0::/docker/1f", 1),
    ("a group outside of the namespace", {"cpu.max": "100000 100000"}, "0::/../../x", 1),
    ("a sibling's quota", {"a/cpu.max": "max 100000", "b/cpu.max": "1000 100000"}, "0::/a", None),
    ("version 1", below("cpu", ONE_V1), "4:cpu,cpuacct:/\n3:memory:/", 1),
    ("version 1, no quota", below("cpu", NONE_V1), "4:cpu:/", None),
    ("version 1, a container", below("cpu,cpuacct", ONE_V1), "4:cpu,cpuacct:/docker/1f", 1),
    ("version 1, nested", below("cpu,cpuacct/a/b", ONE_V1), "4:cpu,cpuacct:/a/b\n0::/", 1),
    ("version 1, above", below("cpu/a", ONE_V1) | below("cpu/a/b", NONE_V1), "4:cpu:/a/b", 1),
    ("version 1, of other controllers", below("cpu/a", ONE_V1), "4:cpu:/\n3:cpuset:/a", None),
    ("both, the controller in version 1", below("cpu/a", ONE_V1), "4:cpu:/a\n0::/", 1),
    ("both, the controller in version 2", {"unified/a/cpu.max": "1000 1000"}, "0::/a", 1),
    ("no file of one's own groups", {"cpu.max": "100000 100000"}, "", 1),
    ("no control groups", {}, "", None),
]


@pytest.mark.parametrize(
    ("files", "own", "expected"), [row[1:] for row in LAYOUTS], ids=[row[0] for row in LAYOUTS]
)
def test_quotas_are_seen_in_every_layout(
    tmp_path: Path, files: Mapping[str, str], own: str, expected: float | None
) -> None:
    """A row each: the hierarchies' files, the process's own groups, and the cores that are paid for."""
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(f"{text}\n")
    if own:
        (tmp_path / "own").write_text(f"{own}\n")

    assert expected == cpu_quota(tmp_path / "groups", tmp_path / "own")


@pytest.mark.parametrize(
    ("scheduled", "quota", "expected"),
    [(8, None, 8), (8, 2.0, 2), (8, 1.9, 1), (8, 0.5, 1), (2, 16.0, 2)],
)
def test_a_part_of_a_core_is_none(scheduled: int, quota: float | None, expected: int) -> None:
    """Threads that a quota does not pay for wait for one another; a session needs one."""
    assert expected == whole_cores(scheduled, quota)


def test_this_process_has_a_core() -> None:
    """Whatever this machine has."""
    assert usable_cores() >= 1
