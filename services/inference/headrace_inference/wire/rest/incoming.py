"""REST requests as the ingress takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headrace.state.records import VersionRecord
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.ingress.incoming import Fit, RequestHeader, Wire
from headrace_inference.domain.routing.request_texts import Headers
from headrace_inference.domain.scheduling.requests import RequestPlan, TensorData
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.wire.rest.answers import check_answerable
from headrace_inference.wire.rest.generate import Members, generate_request
from headrace_inference.wire.rest.requests import RestRequest


@dataclass(slots=True, eq=False)
class RestIncoming:
    """The part that both forms have. No two REST requests share anything that could be remembered."""

    header: RequestHeader
    metadata: Headers
    is_slow: bool
    wire: ClassVar[Wire] = "http"

    def known_fit(self, version: LoadedVersion) -> Fit | None:
        """Return None: nothing is known beforehand."""
        return None

    def remember(self, version: LoadedVersion, fit: Fit) -> None:
        """Forget it."""


@dataclass(slots=True, eq=False)
class InferIncoming(RestIncoming):
    """A request of the protocol's form."""

    request: RestRequest

    @property
    def id_text(self) -> str:
        """The request's id."""
        return self.request.id

    def plan(self, version: LoadedVersion) -> RequestPlan:
        """Plan how it runs on a version. Raises InvalidArgument."""
        return _plan(self.request, version)

    def values(self, regions: RegionTable) -> Sequence[TensorData]:
        """The values of its inputs. Raises HeadraceError."""
        return self.request.contents(regions)


@dataclass(slots=True, eq=False)
class GenerateIncoming(RestIncoming):
    """A request of the generate form, which takes its shape from the version that answers it."""

    members: Members
    request: RestRequest | None = None
    _record: VersionRecord | None = None

    @property
    def id_text(self) -> str:
        """The request's id."""
        return self.read.id

    @property
    def read(self) -> RestRequest:
        """The request, once a version has planned it."""
        assert self.request is not None
        return self.request

    def read_for(self, record: VersionRecord) -> RestRequest:
        """The request as this version takes it. Raises InvalidArgument."""
        if self.request is None or self._record is not record:
            self.request = generate_request(record, self.members)
            self._record = record
            self.header.parameters = self.request.parameters
        return self.request

    def plan(self, version: LoadedVersion) -> RequestPlan:
        """Plan how it runs on a version. Raises InvalidArgument."""
        return _plan(self.read_for(version.record), version)

    def values(self, regions: RegionTable) -> Sequence[TensorData]:
        """The values of its inputs. Raises HeadraceError."""
        return self.read.contents(regions)


def _plan(request: RestRequest, version: LoadedVersion) -> RequestPlan:
    plan = version.plan_request(request.headers, request.outputs, request.options)
    check_answerable(request, version, plan)
    return plan
