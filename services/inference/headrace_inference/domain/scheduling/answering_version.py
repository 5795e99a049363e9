"""Declares what sinks need of the version that answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from headrace.state.records import VersionRecord
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.scheduling.response_cache import (
    BoundedCache,
    FrameKey,
    JsonFrame,
    JsonKey,
    RenderedKey,
    ResponseFrame,
)


class AnsweringVersion(Protocol):
    """A loaded version, for whoever encodes its responses."""

    record: VersionRecord
    version_text: str
    clock: Clock
    response_frames: BoundedCache[FrameKey, ResponseFrame]
    rendered_heads: BoundedCache[RenderedKey, bytes]
    json_frames: BoundedCache[JsonKey, JsonFrame]

    @property
    def labels(self) -> Mapping[str, Sequence[bytes]]:
        """Return the names of the classes of outputs, where the version has files of them."""
