"""Counts the CUDA devices that this process may use, by asking the driver itself.

That ONNX Runtime was built with CUDA says nothing of the machine: its provider is listed everywhere and
writes errors to standard error where it cannot load. The driver's library costs nothing where it is not
there, and it respects `CUDA_VISIBLE_DEVICES`, which the files under /dev and NVML do not.
"""

from __future__ import annotations

import ctypes
import sys

DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_SUCCESS = 0


def cuda_device_count(driver: str = DRIVER) -> int:
    """The devices that the driver shows this process; 0 without a driver or without a device."""
    try:
        cuda = ctypes.CDLL(driver)
        initialise, count_devices = cuda.cuInit, cuda.cuDeviceGetCount
    except (OSError, AttributeError):  # no such library; a library that is no driver
        return 0
    count = ctypes.c_int(0)
    # The toolkit's stub of the driver has the functions, too, and answers an error.
    if initialise(0) != _SUCCESS or count_devices(ctypes.byref(count)) != _SUCCESS:
        return 0
    return count.value
