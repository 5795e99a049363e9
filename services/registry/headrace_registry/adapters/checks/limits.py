"""Bounds what the check of one artifact may use, by the artifact's size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace import errors
from headrace_registry.domain.pushes.artifacts import Format

MEMORY_FACTOR = 4
"""A graph with its weights inside took 3.1 times its size: it is parsed, copied, and run."""
_BASE_BYTES = 256 << 20
"""What a check of nothing takes, and some more."""
_LEAST_MEMORY_FACTOR = 2
"""With less than this, such a graph was never taken."""
_MAPPED_FACTOR = 3
"""Of address space alone: external data is mapped, and ONNX Runtime reserves the same again."""
BYTES_PER_SECOND = 50 << 20
"""What unpacking and reading is given time for, beside the check itself."""


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """The limits of one check, and how many run at a time; `custom_operators` is a folder of libraries."""

    seconds: float
    memory_bytes: int
    unpacked_bytes: int
    files: int
    expansion: int
    at_a_time: int
    trial_seconds: float
    machine_bytes: int
    """The memory of the machine; 0 where it is not known."""
    custom_operators: Path | None = None

    def memory_for(self, size: int) -> int:
        """Return how much memory a check may take: it grows with the artifact, up to half the machine's."""
        most = max(self.memory_bytes, self.machine_bytes // 2)
        return min(max(self.memory_bytes, MEMORY_FACTOR * size + _BASE_BYTES), most)

    def address_space_for(self, size: int) -> int:
        """Return how much it may have mapped: more than it may touch."""
        return self.memory_for(size) + _MAPPED_FACTOR * size

    def seconds_for(self, size: int) -> float:
        """Return how long it may take."""
        return self.seconds + size / BYTES_PER_SECOND

    def is_large(self, size: int) -> bool:
        """Return whether it may take more memory than checks that run beside others."""
        return self.memory_for(size) > self.memory_bytes

    def ordinary_bytes(self) -> int:
        """The largest size that is not large."""
        return max(0, self.memory_bytes - _BASE_BYTES) // MEMORY_FACTOR

    def admit(self, size: int, file_format: Format) -> None:
        """Refuse what no check could take. Raises ResourceExhausted (ARTIFACT_TOO_LARGE)."""
        if file_format is Format.ONNX and self.memory_for(size) < _LEAST_MEMORY_FACTOR * size:
            raise errors.ResourceExhausted(
                "ARTIFACT_TOO_LARGE",
                f"the artifact has {size} bytes in one graph, and a check may take {self.memory_for(size)} "
                "bytes of memory here, which is too little: save its weights as external data and push the "
                "folder, or run the registry where there is more",
                facts={"limit": str(self.memory_for(size)), "setting": "check_memory_bytes"},
            )
        if file_format is Format.TAR and size > self.unpacked_bytes + self.files * 1024 + 10240:
            raise errors.ResourceExhausted(
                "ARCHIVE_TOO_LARGE",
                f"the archive has {size} bytes and unpacks to more than {self.unpacked_bytes} (the "
                "registry's setting max_unpacked_bytes)",
                facts={"limit": str(self.unpacked_bytes), "setting": "max_unpacked_bytes"},
            )
