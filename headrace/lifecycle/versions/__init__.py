"""Versions as people look at them: their model cards, what differs between two, what was made of which."""

from headrace.lifecycle.versions.sources import made_here, source_revision

__all__ = ["made_here", "source_revision"]
