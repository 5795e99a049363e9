"""CUDA memory over a stand-in for NVIDIA's driver: what is asked of it, and what its refusals become."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace_inference.adapters.cuda_memory import CudaMemory
from headrace_inference.adapters.system_memory import open_system_memory
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.scheduling.requests import SharedMemorySlice

HANDLE = b"h" * 64
ADDRESS = 1000


class Driver:
    """As much of the driver as is used: one allocation at ADDRESS, whose handle is HANDLE."""

    def __init__(self, size: int = 32) -> None:
        self.memory = bytearray(size)
        self.calls: list[str] = []

    def cuDeviceGet(self, device: Any, ordinal: Any) -> int:
        device._obj.value = ordinal.value
        return 0 if ordinal.value == 0 else 101

    def cuDevicePrimaryCtxRetain(self, context: Any, device: Any) -> int:
        context._obj.value = 7
        return 0

    def cuCtxSetCurrent(self, context: Any) -> int:
        self.calls.append(f"context {context.value}")
        return 0

    def cuIpcOpenMemHandle_v2(self, pointer: Any, handle: Any, flags: Any) -> int:
        pointer._obj.value = ADDRESS
        return 0 if bytes(handle) == HANDLE else 1

    def cuMemGetAddressRange_v2(self, base: Any, size: Any, pointer: Any) -> int:
        base._obj.value, size._obj.value = ADDRESS, len(self.memory)
        return 0

    def cuMemcpyDtoH_v2(self, buffer: Any, pointer: Any, size: Any) -> int:
        start = pointer.value - ADDRESS
        buffer.raw = bytes(self.memory[start : start + size.value])
        return 0

    def cuMemcpyHtoD_v2(self, pointer: Any, data: bytes, size: Any) -> int:
        start = pointer.value - ADDRESS
        self.memory[start : start + size.value] = data
        return 0

    def cuIpcCloseMemHandle(self, pointer: Any) -> int:
        self.calls.append(f"close {pointer.value}")
        return 0


def table_of(driver: Driver) -> RegionTable:
    """A table that opens CUDA memory with this driver."""
    return RegionTable(open_system_memory, CudaMemory(driver).open)


def test_windows_are_copied_from_and_to_the_device() -> None:
    """In the context of the thread that asks, and the handle is closed at the end."""
    driver = Driver()
    table = table_of(driver)
    table.register_device("r", HANDLE, 0, 16)
    table.write(SharedMemorySlice("r", 4, 8), b"abcd")

    assert b"\0\0abcd" == table.read(SharedMemorySlice("r", 6, 6))
    assert b"abcd" == driver.memory[8:12]
    assert "context 7" == driver.calls[-1]
    assert ([], ["r"]) == (table.status(""), [r.name for r in table.status("", device=True)])
    table.unregister("", device=True)
    gc.collect()
    assert f"close {ADDRESS}" == driver.calls[-1]


@pytest.mark.parametrize(
    ("handle", "device", "size"),
    [(b"short", 0, 16), (b"x" * 64, 0, 16), (HANDLE, 1, 16), (HANDLE, 0, 33), (HANDLE, 0, 0)],
)
def test_what_the_driver_does_not_have_is_refused(handle: bytes, device: int, size: int) -> None:
    """Handles, devices and sizes that are none are the caller's error."""
    table = table_of(Driver())
    with pytest.raises(HeadraceError) as caught:
        table.register_device("r", handle, device, size)

    assert "REGION_INVALID" == caught.value.reason
    assert [] == table.status("", device=True)


def test_a_region_of_one_kind_is_not_found_as_the_other() -> None:
    """Names are shared, and status and unregistering tell the kinds apart."""
    table = table_of(Driver())
    table.register_device("r", HANDLE, 0, 16)
    table.unregister("r")
    with pytest.raises(HeadraceError) as caught:
        table.status("r")

    assert "REGION_NOT_FOUND" == caught.value.reason
    assert ["r"] == [region.name for region in table.status("r", device=True)]
