"""A request as a wire decoded it: whom it asks for, what it says of its tensors, where its values are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from headrace.security.credentials import PeerCertificate
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.extensions.trace_records import RequestFacts
from headrace_inference.domain.routing.request_texts import Headers, Parameter
from headrace_inference.domain.routing.table import RoutingTable
from headrace_inference.domain.routing.targets import Target
from headrace_inference.domain.scheduling.requests import (
    NO_OPTIONS,
    Options,
    RequestPlan,
    TensorData,
    TensorHeader,
)
from headrace_inference.domain.versions.loaded_version import LoadedVersion

Wire = Literal["grpc", "http"]
Fit = tuple[RequestPlan, Sequence[TensorData]]
"""How a request runs on a version, and its values in the order of that version's inputs."""


@dataclass(slots=True, eq=False)
class RequestHeader:
    """A request without its id and values. Requests that repeat it byte for byte may share one.

    It remembers where it led to, and how it runs on each version that it reached, by the version's id.
    """

    model_name: str
    model_version: str
    inputs: tuple[TensorHeader, ...] = ()
    outputs: tuple[str, ...] = ()
    options: Options = NO_OPTIONS
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    plans: dict[int, RequestPlan] = field(default_factory=dict)
    resolved: tuple[RoutingTable, Target] | None = None
    """The routing table by which it was resolved last, and what it led to."""
    traced: RequestFacts | None = None
    """What the trace of the last request with this header says of it, where that had no more."""

    def plan_on(self, version: LoadedVersion) -> RequestPlan:
        """Plan how requests with this header run on a version. Raises InvalidArgument."""
        plan = self.plans.get(version.id)
        if plan is None:
            plan = version.plan_request(self.inputs, self.outputs, self.options, self.parameters)
            self.plans[version.id] = plan
        return plan


class IncomingRequest(Protocol):
    """A request that any wire hands in. Nothing of it was compared with a version yet."""

    @property
    def wire(self) -> Wire:
        """The wire that it came over: which headers are forwarded depends on it."""

    @property
    def header(self) -> RequestHeader:
        """Its names, at least; where its form depends on the version, the rest is known later."""

    @property
    def id_text(self) -> str:
        """Its id, '' where it has none."""

    @property
    def metadata(self) -> Headers:
        """The headers that its caller sent beside it."""

    @property
    def certificate(self) -> PeerCertificate | None:
        """The client certificate of its connection, where one was verified."""

    @property
    def is_slow(self) -> bool:
        """Tell whether making its values takes so long that a thread of its own has to."""

    def known_fit(self, version: LoadedVersion) -> Fit | None:
        """Fit it as a request like it was that was checked before; None where there was none."""

    def plan(self, version: LoadedVersion) -> RequestPlan:
        """Plan how it runs on a version. Raises InvalidArgument where it does not fit."""

    def values(self, regions: RegionTable) -> Sequence[TensorData]:
        """The values of its inputs, in its own order; called once it has a plan. Raises HeadraceError."""

    def remember(self, version: LoadedVersion, fit: Fit) -> None:
        """It was checked and fits so: `known_fit` may tell that of requests like it."""
