"""A replica, assembled."""

from headrace_inference.app.replica import Replica, main, open_replica

__all__ = ["Replica", "main", "open_replica"]
