"""Sets up the use of callers' shared memory."""

from __future__ import annotations

from headrace_inference.adapters.cuda_memory import device_memory_opener
from headrace_inference.adapters.system_memory import open_system_memory
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.settings import Settings


def region_table(settings: Settings) -> RegionTable:
    """The table of regions, which takes none where the setting does not allow it."""
    if not settings.allow_client_shared_memory:
        return RegionTable()
    return RegionTable(open_system_memory, device_memory_opener())
