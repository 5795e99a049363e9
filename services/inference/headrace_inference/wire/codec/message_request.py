"""A ModelInferRequest as the ingress takes it, over whichever front it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.ingress.incoming import Fit, Wire
from headrace_inference.domain.scheduling.requests import RequestPlan, TensorData
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.wire.codec.request_parser import ParsedMessage
from headrace_inference.wire.codec.slow_requests import decoding_takes_long
from headrace_inference.wire.codec.tensors import contents_of, raw_bytes


@dataclass(slots=True, eq=False)
class MessageRequest(ParsedMessage):
    """A parsed message. Each front adds where its metadata is."""

    wire: ClassVar[Wire] = "grpc"

    @property
    def id_text(self) -> str:
        """The request's id, '' where it has none."""
        return self.id.decode()

    @property
    def is_slow(self) -> bool:
        """Tell whether its contents are to be decoded by another thread."""
        return decoding_takes_long(self)

    def known_fit(self, version: LoadedVersion) -> Fit | None:
        """Fit it as an earlier request of the same template was, with its own contents."""
        if self.template is None:
            return None
        ready = self.template.ready.get(version.id)
        if ready is None:
            return None
        plan, ranges, large = ready
        payload = self.payload
        if large:
            return plan, [raw_bytes(payload, start, end) for start, end in ranges]
        return plan, [payload[start:end] for start, end in ranges]

    def plan(self, version: LoadedVersion) -> RequestPlan:
        """Plan how it runs on a version. Raises InvalidArgument."""
        return self.header.plan_on(version)

    def values(self, regions: RegionTable) -> Sequence[TensorData]:
        """Its contents, in its own order. Raises HeadraceError."""
        return contents_of(self, regions)

    def remember(self, version: LoadedVersion, fit: Fit) -> None:
        """Tell it to later requests of the same template, where all contents are raw."""
        plan, values = fit
        if (
            self.template is not None
            and self.header.plain
            and all(isinstance(part, (bytes, memoryview)) for part in values)
        ):
            ranges = tuple(self.raw[place] for place in plan.order)
            large = any(isinstance(part, memoryview) for part in values)
            self.template.ready[version.id] = (plan, ranges, large)
