"""NVIDIA devices, as NVML has them; where the package nvidia-ml-py or a driver is missing, nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from headrace_inference.adapters.metrics.text import Family, label_text

logger = logging.getLogger(__name__)

Read = Callable[[Any, Any], float]
"""From NVML and a device's handle to a value."""


def _memory(nvml: Any, device: Any) -> Any:
    return nvml.nvmlDeviceGetMemoryInfo(device)


GAUGES: tuple[tuple[str, str, Read], ...] = (
    (
        "nv_gpu_utilization",
        "GPU utilisation, 0 to 1",
        lambda nvml, device: nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100,
    ),
    (
        "nv_gpu_memory_total_bytes",
        "The device's memory",
        lambda nvml, device: _memory(nvml, device).total,
    ),
    (
        "nv_gpu_memory_used_bytes",
        "Of which in use, by anybody",
        lambda nvml, device: _memory(nvml, device).used,
    ),
    (
        "nv_gpu_power_usage",
        "Power in watts",
        lambda nvml, device: nvml.nvmlDeviceGetPowerUsage(device) / 1000,
    ),
    (
        "nv_gpu_power_limit",
        "The most power in watts",
        lambda nvml, device: nvml.nvmlDeviceGetPowerManagementLimit(device) / 1000,
    ),
)


def _joules(nvml: Any, device: Any) -> float:
    millijoules: int = nvml.nvmlDeviceGetTotalEnergyConsumption(device)
    return millijoules / 1000


@dataclass(frozen=True, slots=True)
class _Device:
    handle: Any
    labels: str
    joules_at_start: float | None


class DeviceMeter:
    """Reads all devices when asked, leaving out what one of them does not tell."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
        self._devices = [self._device(handle) for handle in handles]

    def families(self) -> Iterator[Family]:
        """Utilisation, memory, power, and the energy used since this meter was made, by device."""
        for name, text, read in GAUGES:
            family = Family(name, "gauge", text)
            for device in self._devices:
                value = self._read(read, device.handle)
                if value is not None:
                    family.add(value, device.labels)
            yield family
        yield self._energy()

    def joules(self) -> float:
        """The energy that all devices used that tell, since their drivers were loaded."""
        found = [self._read(_joules, device.handle) for device in self._devices]
        return sum(joules for joules in found if joules is not None)

    def _energy(self) -> Family:
        family = Family("nv_energy_consumption", "counter", "Joules since the replica started")
        for device in self._devices:
            joules = self._read(_joules, device.handle)
            if joules is not None and device.joules_at_start is not None:
                family.add(joules - device.joules_at_start, device.labels)
        return family

    def _device(self, handle: Any) -> _Device:
        labels = label_text(gpu_uuid=self._nvml.nvmlDeviceGetUUID(handle))
        return _Device(handle, labels, self._read(_joules, handle))

    def _read(self, read: Read, handle: Any) -> float | None:
        try:
            return read(self._nvml, handle)
        except self._nvml.NVMLError:  # this kind of device does not have it, or the device fell off
            return None


@contextmanager
def open_device_meter() -> Iterator[DeviceMeter | None]:
    """A meter of this machine's devices while inside; None where NVML is not there."""
    nvml = open_nvml()
    if nvml is None:
        yield None
        return
    try:
        yield DeviceMeter(nvml)
    finally:
        nvml.nvmlShutdown()


def open_nvml() -> Any:
    """NVML, begun; whoever asks ends it by `nvmlShutdown`. None where it is not there."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except ImportError:
        return None
    except pynvml.NVMLError as error:
        logger.debug("no metrics of devices: %s", error)
        return None
    return pynvml
