"""The registry, assembled."""

from headrace_registry.app.ports import Registry
from headrace_registry.app.registry import LOCK_NAME, main, open_registry

__all__ = ["LOCK_NAME", "Registry", "main", "open_registry"]
