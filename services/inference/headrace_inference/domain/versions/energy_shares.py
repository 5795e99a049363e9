"""Shares what the process used, processor time and energy, among the versions that ran.

What ran for a tenth of all run time has a tenth of both, of what is beside runs, too: parsing, answering,
waiting. Nothing else tells whose it was. Where nothing ran, nobody has it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar

Key = TypeVar("Key", bound=Hashable)


class EnergySource(StrEnum):
    """How a figure of energy was got."""

    NVML = "nvml"
    """The counter of the device that the version runs on, all of what it used."""
    RAPL = "rapl"
    """The counter of the processor, of which this process has its share of the machine's busy time."""
    MODEL = "model"
    """Processor time times a number of watts, which is a setting."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the process used since it was last asked."""

    cpu_us: int = 0
    """Processor time, microseconds."""
    joules: Mapping[EnergySource, float] = field(default_factory=dict)
    """Energy by how it was got."""


class UsageMeter(Protocol):
    """Tells what the process used."""

    def take(self) -> Usage:
        """The usage since this was last called."""


@dataclass(frozen=True, slots=True)
class Busy:
    """How long a version's runs took, and where they were."""

    ns: int
    is_on_device: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """What one version used."""

    cpu_us: int = 0
    millijoules: Mapping[str, int] = field(default_factory=dict)
    """By how they were got."""


class EnergyShares:
    """Shares usage in whole numbers, and carries what is left of them: sums stay true."""

    def __init__(self) -> None:
        self._carried: dict[str, float] = {}

    def of(self, usage: Usage, busy: Mapping[Key, Busy]) -> dict[Key, Share]:
        """What each of the versions used that ran."""
        ran = {key: each for key, each in busy.items() if each.ns > 0}
        cpu = self._shared("cpu", usage.cpu_us, ran)
        millijoules: dict[Key, dict[str, int]] = {key: {} for key in ran}
        for source, joules in usage.joules.items():
            on_device = source is EnergySource.NVML
            theirs = {key: each for key, each in ran.items() if each.is_on_device or not on_device}
            for key, amount in self._shared(source.value, joules * 1000, theirs).items():
                if amount:
                    millijoules[key][source.value] = amount
        return {key: Share(cpu[key], millijoules[key]) for key in ran}

    def _shared(self, name: str, amount: float, busy: Mapping[Key, Busy]) -> dict[Key, int]:
        """Share an amount so that all shares of all times add up to all amounts, but for one at most."""
        total_ns = sum(each.ns for each in busy.values())
        left = self._carried.get(name, 0.0)
        shares: dict[Key, int] = {}
        for key, each in busy.items():
            left += amount * each.ns / total_ns
            shares[key] = int(left)
            left -= shares[key]
        self._carried[name] = left
        return shares
