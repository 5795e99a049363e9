"""CUDA memory of other processes on this machine, by the driver's inter-process handles.

Never run on a device. Tensors are copied between the device and the host, where requests are batched: it
saves the caller the copy through its message, not the one to the host.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any

from headrace_inference.adapters.runtime.cuda_devices import DRIVER, cuda_device_count
from headrace_inference.domain.extensions.shared_memory import OpenDeviceMemory, Segment

HANDLE_BYTES = 64
_LAZY_ENABLE_PEER_ACCESS = 1
_SUCCESS = 0


class _Handle(ctypes.Structure):
    _fields_ = (("reserved", ctypes.c_char * HANDLE_BYTES),)


def device_memory_opener() -> OpenDeviceMemory | None:
    """Return what opens CUDA memory; None where this process has no CUDA device."""
    return CudaMemory(ctypes.CDLL(DRIVER)).open if cuda_device_count() else None


class CudaMemory:
    """Opens handles with the driver's library, which was initialised."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def open(self, handle: bytes, device_id: int, byte_size: int) -> Segment:
        """The memory of a handle. Raises OSError where the driver refuses, ValueError for wrong sizes."""
        if len(handle) != HANDLE_BYTES:
            raise ValueError(f"a CUDA handle has {HANDLE_BYTES} bytes, not {len(handle)}")
        context = self._context(device_id)
        pointer = ctypes.c_uint64()
        given = _Handle.from_buffer_copy(handle)
        call(
            self._driver.cuIpcOpenMemHandle_v2,
            ctypes.byref(pointer),
            given,
            ctypes.c_uint(_LAZY_ENABLE_PEER_ACCESS),
        )
        segment = DeviceSegment(self._driver, context, pointer)
        if byte_size > segment.size():
            raise ValueError(f"the handle has {segment.size()} bytes, not {byte_size}")
        return segment

    def _context(self, device_id: int) -> ctypes.c_void_p:
        device, context = ctypes.c_int(), ctypes.c_void_p()
        call(self._driver.cuDeviceGet, ctypes.byref(device), ctypes.c_int(device_id))
        call(self._driver.cuDevicePrimaryCtxRetain, ctypes.byref(context), device)
        call(self._driver.cuCtxSetCurrent, context)
        return context


class DeviceSegment:
    """Open device memory; it is closed when nobody refers to this any more."""

    def __init__(self, driver: Any, context: ctypes.c_void_p, pointer: ctypes.c_uint64) -> None:
        self._driver = driver
        self._context = context
        self._pointer = pointer
        weakref.finalize(self, _close, driver, context, pointer)

    def size(self) -> int:
        """Return how many bytes were allocated from the handle's address on. Raises OSError."""
        base, size = ctypes.c_uint64(), ctypes.c_size_t()
        self._enter()
        call(
            self._driver.cuMemGetAddressRange_v2,
            ctypes.byref(base),
            ctypes.byref(size),
            self._pointer,
        )
        return base.value + size.value - self._pointer.value

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes, copied to the host. Raises OSError."""
        buffer = ctypes.create_string_buffer(size)
        self._enter()
        call(self._driver.cuMemcpyDtoH_v2, buffer, self._at(offset), ctypes.c_size_t(size))
        return buffer.raw

    def write(self, offset: int, data: bytes) -> None:
        """Copy these bytes to the device. Raises OSError."""
        self._enter()
        call(self._driver.cuMemcpyHtoD_v2, self._at(offset), data, ctypes.c_size_t(len(data)))

    def _at(self, offset: int) -> ctypes.c_uint64:
        return ctypes.c_uint64(self._pointer.value + offset)

    def _enter(self) -> None:
        """A context is a thread's own matter, and requests are answered by any."""
        call(self._driver.cuCtxSetCurrent, self._context)


def _close(driver: Any, context: ctypes.c_void_p, pointer: ctypes.c_uint64) -> None:
    driver.cuCtxSetCurrent(context)
    driver.cuIpcCloseMemHandle(pointer)


def call(function: Any, *arguments: Any) -> None:
    """Call one of the driver's functions. Raises OSError for any result but success."""
    result = function(*arguments)
    if result != _SUCCESS:
        name = getattr(function, "__name__", "the driver")
        raise OSError(f"{name} answered CUDA error {result}")
