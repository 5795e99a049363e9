"""Regions of shared memory that clients registered: inputs are read from them, outputs written to them.

Every use checks its bounds again, against the region as it was registered and the memory as it is now:
a client can shrink or remove it at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from headrace.errors import AlreadyExists, InvalidArgument, NotFound, Unavailable, Unimplemented
from headrace_inference.domain.scheduling.requests import SharedMemorySlice

MAX_NAME_LENGTH = 256


class Segment(Protocol):
    """Open shared memory, given back when nobody refers to it any more.

    `read` and `write` may be called from any thread, also while the region is being unregistered.
    """

    def size(self) -> int:
        """Return how many bytes it has now."""

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes, or fewer where it has ended meanwhile. Raises OSError."""

    def write(self, offset: int, data: bytes) -> None:
        """Put these bytes there. Raises OSError."""


OpenSystemMemory = Callable[[str], Segment]
"""Opens the shared memory of a key. Raises OSError or ValueError."""

OpenDeviceMemory = Callable[[bytes, int, int], Segment]
"""Opens a device's memory by its handle, the device's number and its size. Raises OSError or ValueError."""


@dataclass(frozen=True, slots=True)
class Region:
    """A registered stretch of shared memory: of the system's by key, or of a device's."""

    name: str
    offset: int
    byte_size: int
    segment: Segment
    key: str = ""
    device_id: int | None = None


class RegionTable:
    """The registered regions, by name. Without a way to open the system's memory, the feature is off."""

    def __init__(
        self,
        open_system: OpenSystemMemory | None = None,
        open_device: OpenDeviceMemory | None = None,
        regions: dict[str, Region] | None = None,
    ) -> None:
        self._open_system = open_system
        self._open_device = open_device
        self._regions = {} if regions is None else regions

    @property
    def allowed(self) -> bool:
        """Return whether clients may use shared memory here."""
        return self._open_system is not None

    def register_system(self, name: str, key: str, offset: int, byte_size: int) -> None:
        """Make a stretch of the system's shared memory known under a name.

        Raises Unimplemented (SHARED_MEMORY_DISABLED), AlreadyExists (REGION_EXISTS) or InvalidArgument
        (REGION_INVALID).
        """
        open_system = self._allowed()
        self._check_name(name)
        try:
            segment = open_system(key)
            size = segment.size()
        except (OSError, ValueError) as error:
            raise _invalid(name, f"cannot open key '{key}': {error}") from None
        if byte_size < 1 or offset < 0 or offset + byte_size > size:
            raise _invalid(
                name, f"{byte_size} bytes at offset {offset} are not in the {size} of key '{key}'"
            )
        self._regions[name] = Region(name, offset, byte_size, segment, key)

    def register_device(self, name: str, handle: bytes, device_id: int, byte_size: int) -> None:
        """Make a device's memory known under a name.

        Raises as `register_system`, and Unavailable (CUDA_UNAVAILABLE) where there is no device.
        """
        self._allowed()
        self._check_name(name)
        if self._open_device is None:
            raise Unavailable(
                "CUDA_UNAVAILABLE",
                f"failed to register CUDA shared memory region: '{name}', GPUs not supported: this "
                "replica has no CUDA device; send the tensors in the request, or use a system region",
            )
        if byte_size < 1:
            raise _invalid(name, f"it would have {byte_size} bytes")
        try:
            segment = self._open_device(handle, device_id, byte_size)
        except (OSError, ValueError) as error:
            raise _invalid(name, f"cannot open the CUDA memory: {error}") from None
        self._regions[name] = Region(name, 0, byte_size, segment, device_id=device_id)

    def unregister(self, name: str, *, device: bool = False) -> None:
        """Forget a region, or all of a kind where no name is given. Raises Unimplemented.

        A name that is not there is none any more, as with Triton: callers tidy up before they register.
        """
        for region in self.status("", device=device):
            if name in ("", region.name):
                del self._regions[region.name]

    def status(self, name: str, *, device: bool = False) -> list[Region]:
        """This region, or all of a kind where no name is given. Raises Unimplemented, or NotFound."""
        self._allowed()
        found = [self.find(name)] if name else list(self._regions.values())
        of_kind = [region for region in found if (region.device_id is not None) == device]
        if name and not of_kind:
            raise _unknown(name)
        return sorted(of_kind, key=lambda region: region.name)

    def checked_by(self, check: Callable[[], None]) -> RegionTable:
        """The same regions, for a caller of whom `check` raises if he may use none."""
        return _CheckedRegions(check, self._open_system, self._open_device, self._regions)

    def find(self, name: str) -> Region:
        """The region of this name. Raises Unimplemented, or NotFound (REGION_NOT_FOUND)."""
        self._allowed()
        region = self._regions.get(name)
        if region is None:
            raise _unknown(name)
        return region

    def check(self, window: SharedMemorySlice) -> Region:
        """The region that a window is in. Raises as `find`, and InvalidArgument (REGION_BOUNDS)."""
        region = self.find(window.region)
        if window.offset < 0 or window.offset + window.byte_size > region.byte_size:
            raise InvalidArgument(
                "REGION_BOUNDS",
                f"Invalid offset + byte size for shared memory region: '{region.name}': "
                f"{window.byte_size} bytes at offset {window.offset} are not in its {region.byte_size}",
            )
        return region

    def read(self, window: SharedMemorySlice) -> bytes:
        """The bytes of a window. Raises as `check`, and InvalidArgument (REGION_GONE)."""
        region = self.check(window)
        try:
            data = region.segment.read(region.offset + window.offset, window.byte_size)
        except OSError as error:
            raise _gone(region, str(error)) from None
        if len(data) != window.byte_size:
            raise _gone(region, f"only {len(data)} of {window.byte_size} bytes are left")
        return data

    def write(self, window: SharedMemorySlice, data: bytes) -> None:
        """Put bytes at a window's beginning; they must fit. Raises as `check`, and InvalidArgument."""
        region = self.check(window)
        start = region.offset + window.offset
        try:
            size = region.segment.size()
            if start + len(data) > size:  # a write there would make it grow
                raise _gone(region, f"it has only {size} bytes left")
            region.segment.write(start, data)
        except OSError as error:
            raise _gone(region, str(error)) from None

    def _check_name(self, name: str) -> None:
        if name in self._regions:
            raise AlreadyExists(
                "REGION_EXISTS", f"shared memory region '{name}' already in manager"
            )
        if not 0 < len(name) <= MAX_NAME_LENGTH:
            raise _invalid(name, f"its name must have 1 to {MAX_NAME_LENGTH} characters")

    def _allowed(self) -> OpenSystemMemory:
        if self._open_system is None:
            raise Unimplemented(
                "SHARED_MEMORY_DISABLED",
                "Client shared memory is disabled. Start the replica with "
                "--allow-client-shared-memory=true to allow it",
                facts={"setting": "allow_client_shared_memory"},
            )
        return self._open_system


class _CheckedRegions(RegionTable):
    """The regions as one caller has them."""

    def __init__(
        self,
        check: Callable[[], None],
        open_system: OpenSystemMemory | None,
        open_device: OpenDeviceMemory | None,
        regions: dict[str, Region],
    ) -> None:
        super().__init__(open_system, open_device, regions)
        self._check = check

    def find(self, name: str) -> Region:
        """The region of this name. Raises as that of the table, and what `check` raises."""
        self._check()
        return super().find(name)


def _invalid(name: str, why: str) -> InvalidArgument:
    return InvalidArgument(
        "REGION_INVALID", f"failed to register shared memory region '{name}': {why}"
    )


def _unknown(name: str) -> NotFound:
    return NotFound("REGION_NOT_FOUND", f"Unable to find shared memory region: '{name}'")


def _gone(region: Region, why: str) -> InvalidArgument:
    return InvalidArgument(
        "REGION_GONE",
        f"shared memory region '{region.name}' is not what it was when it was registered: {why}; "
        "unregister it, and register it again",
    )
